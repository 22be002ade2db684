/* The worker's entry point. SPDX-License-Identifier: MIT */
#include "worker/launch.h"

int
main(void)
{
	launch_run();
}
