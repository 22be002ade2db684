/* shoalctl: steers and shows a running instance. SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"

int
main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
