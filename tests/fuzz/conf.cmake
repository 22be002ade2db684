# The config file: links common alone.
add_executable(fuzz-conf ${CMAKE_CURRENT_LIST_DIR}/conf.c)
target_compile_options(shoal-common PRIVATE -fsanitize=fuzzer-no-link)
target_compile_options(fuzz-conf PRIVATE -fsanitize=fuzzer)
target_link_options(fuzz-conf PRIVATE -fsanitize=fuzzer)
target_link_libraries(fuzz-conf PRIVATE shoal-common)
# New inputs go to the build tree, not into the committed corpus.
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/found/conf)
add_test(NAME fuzz-conf COMMAND fuzz-conf -max_total_time=10 -max_len=4096 -timeout=5
	-verbosity=0 ${CMAKE_CURRENT_BINARY_DIR}/found/conf
	${CMAKE_CURRENT_LIST_DIR}/corpus/conf)
set_tests_properties(fuzz-conf PROPERTIES LABELS fuzz TIMEOUT 120)
