# Turns file IN into the elements of a C array, one hexadecimal number per byte.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
string(REGEX REPLACE ",$" "" hex "${hex}")
file(WRITE ${OUT} "${hex}\n")
