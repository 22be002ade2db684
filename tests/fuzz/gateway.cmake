# Query strings of the gateway: its library, without a socket.
add_executable(fuzz-gateway ${CMAKE_CURRENT_LIST_DIR}/gateway.c)
target_compile_options(shoal-gatewaylib PRIVATE -fsanitize=fuzzer-no-link)
target_compile_options(fuzz-gateway PRIVATE -fsanitize=fuzzer)
target_link_options(fuzz-gateway PRIVATE -fsanitize=fuzzer)
target_link_libraries(fuzz-gateway PRIVATE shoal-gatewaylib)
# New inputs go to the build tree, not into the committed corpus.
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/found/gateway)
add_test(NAME fuzz-gateway COMMAND fuzz-gateway -max_total_time=${SHOAL_FUZZ_SECONDS} -max_len=4096 -timeout=5
	-verbosity=0 ${CMAKE_CURRENT_BINARY_DIR}/found/gateway
	${CMAKE_CURRENT_LIST_DIR}/corpus/gateway)
set_tests_properties(fuzz-gateway PROPERTIES LABELS fuzz TIMEOUT 120)
