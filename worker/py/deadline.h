/* env['shoal.deadline'](seconds). SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

NODISCARD int deadline_add_type(struct state *st, PyObject *module);
