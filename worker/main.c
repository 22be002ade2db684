/* The worker's entry point. SPDX-License-Identifier: MIT */
int
main(void)
{
	return 0;
}
