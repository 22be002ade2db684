/* Generations: made from a configuration, kept while anybody needs them.
 * SPDX-License-Identifier: MIT */
#include "master/generation.h"

#include "master/env.h"
#include "master/mold.h"

static int
copy_heritage(struct heritage *h, struct conf *conf, const struct heritage *like)
{
	struct heritage_listener *listeners =
	    calloc(like->n_listeners + 1, sizeof(*listeners));

	if (listeners == NULL)
		return -1;
	*h = *like;
	h->conf = *conf;
	memset(conf, 0, sizeof(*conf));
	h->listeners = listeners;
	for (size_t i = 0; i < h->n_listeners; i++) {
		listeners[i] = like->listeners[i];
		/* TLS may have come or gone with the configuration. */
		listeners[i].tls = h->conf.certfile != NULL;
	}
	return 0;
}

struct generation *
generation_create(
    unsigned number, struct conf *conf, const struct heritage *like, struct err *e)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (g == NULL || copy_heritage(&g->heritage, conf, like) < 0) {
		free(g);
		err_set(e, "out of memory");
		return NULL;
	}
	g->refs = 1;
	g->number = g->heritage.generation = number;
	g->env = env_create(&g->heritage.conf.env);
	if (g->env == NULL) {
		generation_unref(g);
		err_set(e, "out of memory");
		return NULL;
	}
	return g;
}

struct generation *
generation_ref(struct generation *g)
{
	g->refs++;
	return g;
}

void
generation_unref(struct generation *g)
{
	if (g == NULL || --g->refs > 0)
		return;
	mold_destroy(g->mold);
	env_destroy(g->env);
	heritage_finish(&g->heritage);
	free(g);
}
