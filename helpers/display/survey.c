/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/display/survey.c - a look at all buses */
#include <errno.h>

#include "display.h"

void survey_free(struct survey *survey)
{
	bus_list_free(&survey->list);
	free(survey->probes);
	free(survey->asks);
}

int survey_take(const struct helper_ctx *ctx, bool claimed, int timeout_ms, struct survey *ret)
{
	int r = claimed ? buses_find_claimed(ctx->rootfd, &ctx->claim, &ret->list)
			: buses_find(ctx->rootfd, &ctx->claim, &ret->list);

	if (r == 0)
		ret->asks = calloc(ret->list.nr + 1, sizeof(*ret->asks));
	if (r == 0 && !ret->asks)
		r = -ENOMEM;
	return r < 0 ? r : monitors_identify(ctx->rootfd, &ret->list, timeout_ms, &ret->probes);
}
