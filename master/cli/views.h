/* How replies are shown: the columns of tables and the fields of single objects.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/out.h"

extern const struct out_view view_status, view_workers, view_listeners, view_inflight,
    view_jobs, view_instances, view_errors, view_options, view_changes, view_ledger,
    view_records, view_quotas, view_accounts, view_routes, view_busiest;
