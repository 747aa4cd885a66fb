/* watch.c -- who is told when anything in an account changes (store.h) */
#include "store/inside.h"

struct account_watch *
account_watch(struct account *a, void (*news)(void *ctx, const struct account_event *), void *ctx)
{
	struct account_watch *w = memory_take(sizeof *w);

	*w = (struct account_watch){ .account = a, .news = news, .ctx = ctx, .next = a->watches };
	a->watches = w;
	return w;
}

void
account_unwatch(struct account_watch **wp)
{
	struct account_watch *w = *wp, **p;

	*wp = NULL;
	if (w == NULL)
		return;
	for (p = &w->account->watches; *p != w; p = &(*p)->next)
		;
	*p = w->next;
	if (w->account->telling == w)
		w->account->telling = w->next;
	memory_free(w);
}

/* A watch may go while it, or another, is told. */
void
account_tell(struct account *a, const struct account_event *event)
{
	struct account_watch *w = a->watches;

	while (w != NULL) {
		a->telling = w->next;
		w->news(w->ctx, event);
		w = a->telling;
	}
}

void
account_tell_rights(struct account *a, const char *name)
{
	account_tell(a, &(struct account_event){ .what = ACCOUNT_RIGHTS, .name = name });
}

bool
account_subscribes(const struct account *a, const char *name)
{
	return map_get(a->subscribed, bytes_of(name)) != NULL;
}
