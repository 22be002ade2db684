/* Requests that ended, counted by what they were and by how they failed.
 * SPDX-License-Identifier: MIT */
#pragma once

struct req;

/* Once, when its status and its outcome are known. */
void tally_count(struct req *r);
