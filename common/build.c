/* Words from common/CMakeLists.txt. SPDX-License-Identifier: MIT */
#include "common/build.h"

const char build_commit[] = SHOAL_BUILD_COMMIT;
const char build_date[] = SHOAL_BUILD_DATE;
const char build_openssl[] = SHOAL_BUILD_OPENSSL;
const char build_sqlite[] = SHOAL_BUILD_SQLITE;
