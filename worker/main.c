/* The worker's entry point. SPDX-License-Identifier: MIT */
#include "common/title.h"
#include "worker/launch.h"

int
main(int argc, char **argv)
{
	title_init(argc, argv);
	launch_run();
}
