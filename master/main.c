/* The master's entry point. SPDX-License-Identifier: MIT */
#include "master/master.h"

int
main(int argc, char **argv)
{
	return master_main(argc, argv);
}
