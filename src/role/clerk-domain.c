/* clerk-domain -- whether a domain's mail has its end here, for role guide: DOMAIN_ASK */
#include "role/clerk-resolve.h"

static enum directory_outcome
pass_domain(struct work *w)
{
	struct resolving       r = resolving_of(w);
	struct link           *l = house_link(w->house, w->from, w->index);
	bool                   ours = false;
	enum directory_outcome o = resolve_is_ours(&r, w->address, &ours);

	if (o == DIRECTORY_WAIT && !w->for_good)
		return o;
	if (l != NULL) {
		pack_u8(link_begin(l, WORD_DOMAIN_IS, w->ticket), o != DIRECTORY_OK ? DOMAIN_LATER
		                                                  : ours            ? DOMAIN_OURS
		                                                         : DOMAIN_OF_OTHERS);
		link_end(l);
	}
	return o;
}

bool
hear_domain_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct work *w;

	if (body.len == 0 || body.len > 255)
		return false;
	w = work_open(h, from, index, ticket);
	w->address = arena_lower(w->life, body);
	w->pass = pass_domain;
	work_on(w);
	return true;
}
