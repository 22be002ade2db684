/* Memory of frame stacks, kept from one greenlet to the next. SPDX-License-Identifier: MIT
 */
#pragma once

/* From now on, for greenlets of the calling thread alone. With the GIL; once per process.
 */
void chunks_keep(void);
