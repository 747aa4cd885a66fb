#include "access/guests.h"

void
guests_open(struct guests *g, struct loop *loop, void (*go)(void *session),
            void (*end)(void *session, const char *words))
{
	*g = (struct guests){ .end = end };
	turns_open(&g->turns, loop, go);
}

void
guests_close(struct guests *g, const char *words)
{
	g->closing = true;
	(void)guests_kick(g, 0, words);
	turns_close(&g->turns);
}

void
guest_enter(struct guests *g, struct guest *x, void *session, uint32_t ticket, uint64_t account)
{
	*x = (struct guest){
		.next = g->first, .session = session, .ticket = ticket, .account = account
	};
	if (g->first != NULL)
		g->first->before = x;
	g->first = x;
	g->count++;
}

void
guest_leave(struct guests *g, struct guest *x)
{
	turn_leave(&g->turns, &x->turn);
	if (x->before != NULL)
		x->before->next = x->next;
	else
		g->first = x->next;
	if (x->next != NULL)
		x->next->before = x->before;
	g->count--;
}

size_t
guests_kick(struct guests *g, uint64_t account, const char *words)
{
	size_t kicked = 0;

	for (struct guest *x = g->first, *next; x != NULL; x = next) {
		next = x->next;
		if (account != 0 && x->account != account)
			continue;
		g->end(x->session, words);
		kicked++;
	}
	return kicked;
}

bool
guests_end(struct guests *g, uint32_t ticket, const char *words)
{
	struct guest *x = g->first;

	while (x != NULL && x->ticket != ticket)
		x = x->next;
	if (x != NULL)
		g->end(x->session, words);
	return x != NULL;
}
