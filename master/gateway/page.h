/* The dashboard: one page without anything from elsewhere. SPDX-License-Identifier: MIT */
#pragma once

#include "master/gateway/http.h"

/* GET / */
void page_run(struct http *h);
