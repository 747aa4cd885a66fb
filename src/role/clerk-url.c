/*
 * clerk-url -- a receiver is brought together with the keeper of the mailbox that a URL of BURL names (URL, URL_READ)
 *
 * The clerk answers itself only where there is no such keeper.
 */
#include "role/clerk.h"

#include <sys/socket.h>
#include <unistd.h>

/* Best effort: who does not hear it hears that the socket is closed. */
static void
refuse(int fd, enum url_begins how)
{
	struct buffer b = { 0 };

	word_url_begin(&b, how, 0);
	(void)send(fd, b.at, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buffer_free(&b);
	(void)close(fd);
}

void
clerk_url_hand_over(struct house *h, uint32_t keeper, struct bytes body, int fd)
{
	link_say(house_link(h, KEEPER, keeper), WORD_URL_READ, 0, body, fd);
	(void)close(fd);
}

/* Whose it is: the account the receiver knows is as good as another, for the token decides. */
static uint64_t
account_of(struct clerk *c, const struct word_url *w, struct arena *scratch)
{
	struct credential got = { 0 };

	if (w->account != 0)
		return w->account;
	if (directory_credential(c->directory, bytes_of(w->owner), c->origin, scratch, &got) !=
	            DIRECTORY_OK ||
	    !got.enabled)
		return 0;
	return got.account;
}

bool
hear_url(struct house *h, struct bytes body, int fd)
{
	struct clerk   *c = h->mine;
	struct arena   *scratch = arena_open(NULL);
	struct buffer   onward = { 0 };
	struct word_url w;
	bool            good = fd >= 0 && word_unpack_url(body, scratch, &w);
	uint32_t        keeper;

	if (!good) {
		if (fd >= 0)
			(void)close(fd);
	} else if ((w.account = account_of(c, &w, scratch)) == 0) {
		refuse(fd, URL_NOT);
	} else {
		word_pack_url(&onward, &w);
		keeper = house_keeper_of(h, w.account);
		if (house_link(h, KEEPER, keeper) != NULL)
			clerk_url_hand_over(h, keeper, buffer_bytes(&onward), fd);
		else if ((keeper & KEEPER_OF_USER) != 0)
			clerk_url_wait(h, keeper, buffer_bytes(&onward), fd);
		else
			refuse(fd, URL_LATER);
	}
	buffer_free(&onward);
	arena_close(&scratch);
	return good;
}
