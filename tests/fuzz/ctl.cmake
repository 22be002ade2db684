# The control socket's lines: the master's library, without a socket.
add_executable(fuzz-ctl ${CMAKE_CURRENT_LIST_DIR}/ctl.c)
target_compile_options(shoal-master PRIVATE -fsanitize=fuzzer-no-link)
target_compile_options(fuzz-ctl PRIVATE -fsanitize=fuzzer)
target_link_options(fuzz-ctl PRIVATE -fsanitize=fuzzer)
target_link_libraries(fuzz-ctl PRIVATE shoal-master)
# New inputs go to the build tree, not into the committed corpus.
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/found/ctl)
add_test(NAME fuzz-ctl COMMAND fuzz-ctl -max_total_time=10 -max_len=4096 -timeout=5
	-verbosity=0 ${CMAKE_CURRENT_BINARY_DIR}/found/ctl
	${CMAKE_CURRENT_LIST_DIR}/corpus/ctl)
set_tests_properties(fuzz-ctl PROPERTIES LABELS fuzz TIMEOUT 120)
