/* The inside of a TLS context, for worker/net/tls*.c alone; everybody else uses
 * transport.h. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/transport.h"

#include <openssl/types.h>

struct tls_context {
	SSL_CTX *ssl_ctx; /* owned */
};
