/*
 * house-neighbours -- the other processes of the house: their links, which come and go, who owns whose mailboxes, and
 * the signer, who is asked and waited for
 */
#include "role/house_inner.h"

#include <string.h>
#include <unistd.h>

#include "role/owner.h"

enum { SIGN_WAIT_MS = 5000 };

/* Those that are asked with house_call(): no link of the loop, a socket. */
static bool
is_called(enum role us, enum role them)
{
	return them == SIGNER && (us == RECEIVER || us == LOGIN || us == SENDER || us == GUIDE);
}

void
neighbour_lose(struct neighbour *n)
{
	struct home *m = n->home;

	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
	if (n->link == NULL)
		return;
	link_close(&n->link);
	if (m->working && !m->left && m->card->lost != NULL)
		m->card->lost(&m->house, n->role, n->index);
}

/* Somebody broke the rules of the house: the postmaster will end it. */
static void
neighbour_denounce(struct neighbour *n, uint16_t word)
{
	struct home      *m = n->home;
	struct word_wrong wrong = { n->role, n->index, word };

	fault("wrong mouth: %s %u said %s to us, which it may not say or said wrongly",
	      role_names[n->role], n->index, word_name(word));
	word_pack_wrong(link_begin(m->postmaster, WORD_WRONG_MOUTH, 0), &wrong);
	link_end(m->postmaster);
	neighbour_lose(n);
}

static void
neighbour_said(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct neighbour *n = ctx;
	struct home      *m = n->home;

	(void)l;
	if (m->left) {
		if (fd >= 0)
			(void)close(fd);
	} else if (!word_allowed(word, n->role, m->house.role) ||
	           !word_allowed_of(word, n->role, n->index)) {
		if (fd >= 0)
			(void)close(fd);
		neighbour_denounce(n, word);
	} else if (!m->card->hear(&m->house, n->role, n->index, (enum word)word, ticket, body,
	                          fd)) {
		neighbour_denounce(n, word);
	}
}

static void
neighbour_lost(void *ctx, struct link *l)
{
	(void)l;
	neighbour_lose(ctx);
}

static const struct link_events neighbour_events = { neighbour_said, neighbour_lost };

void
neighbour_meet(struct neighbour *n)
{
	struct home *m = n->home;

	if (n->fd < 0 || m->left || is_called(m->house.role, n->role))
		return;
	n->link = link_open(m->house.loop, n->fd, &neighbour_events, n);
	n->fd = -1;
	if (m->card->peer != NULL)
		m->card->peer(&m->house, n->role, n->index);
}

void
neighbours_meet(struct home *m)
{
	for (int role = 0; role < ROLES; role++)
		for (uint32_t i = 0; i < m->neighbours[role]; i++)
			neighbour_meet(&m->neighbour[role][i]);
	for (struct user_keeper *u = m->user_keepers; u != NULL; u = u->next)
		neighbour_meet(&u->neighbour);
}

static void
neighbours_make(struct home *m, enum role role, uint32_t of)
{
	m->neighbour[role] = arena_take_array(m->life, of, sizeof(struct neighbour));
	m->neighbours[role] = of;
	for (uint32_t i = 0; i < of; i++)
		m->neighbour[role][i] =
			(struct neighbour){ .home = m, .role = role, .index = i, .fd = -1 };
}

struct neighbour *
neighbour_of(struct home *m, enum role role, uint32_t index)
{
	if (role == KEEPER && (index & KEEPER_OF_USER) != 0)
		for (struct user_keeper *u = m->user_keepers; u != NULL; u = u->next)
			if (u->neighbour.index == index)
				return &u->neighbour;
	return index < m->neighbours[role] ? &m->neighbour[role][index] : NULL;
}

static struct neighbour *
user_keeper_make(struct home *m, uint32_t index)
{
	struct user_keeper *u = arena_take(m->life, sizeof *u);

	*u = (struct user_keeper){ m->user_keepers,
		                   { .home = m, .role = KEEPER, .index = index, .fd = -1 } };
	m->user_keepers = u;
	return &u->neighbour;
}

struct neighbour *
neighbour_expect(struct home *m, enum role role, uint32_t index, uint32_t of)
{
	struct neighbour *n;

	if (m->neighbours[role] == 0)
		neighbours_make(m, role, of);
	n = neighbour_of(m, role, index);
	if (n == NULL && role == KEEPER && (index & KEEPER_OF_USER) != 0)
		n = user_keeper_make(m, index);
	return n;
}

struct link *
house_link(struct house *h, enum role role, uint32_t index)
{
	struct neighbour *n = neighbour_of(home_of(h), role, index);

	return n != NULL ? n->link : NULL;
}

uint32_t
house_peer_pid(struct house *h, enum role role, uint32_t index)
{
	struct neighbour *n = neighbour_of(home_of(h), role, index);

	return n != NULL && n->link != NULL ? n->pid : 0;
}

bool
house_user_keeper_next(struct house *h, size_t *place, uint32_t *index)
{
	size_t at = 0;

	for (struct user_keeper *u = home_of(h)->user_keepers; u != NULL; u = u->next) {
		if (u->neighbour.link == NULL || at++ < *place)
			continue;
		*place = at;
		*index = u->neighbour.index;
		return true;
	}
	return false;
}

void
house_proxymap_want(struct house *h)
{
	link_say(home_of(h)->postmaster, WORD_PROXYMAP_WANT, 0, (struct bytes){ NULL, 0 }, -1);
}

void
house_keeper_want(struct house *h, uint32_t index)
{
	struct home   *m = home_of(h);
	struct buffer *b = link_begin(m->postmaster, WORD_KEEPER_WANT, 0);

	/* A link may be on its way to us already; the number tells. */
	pack_u32(b, index);
	pack_u32(b, m->introduced);
	link_end(m->postmaster);
}

void
house_owner_say(struct house *h, const struct owner_row *r)
{
	struct link   *l = home_of(h)->postmaster;
	struct buffer *b = link_begin(l, WORD_OWNER, 0);

	pack_u32(b, r->number);
	pack_string(b, r->owner.uid);
	pack_string(b, r->owner.gid);
	link_end(l);
}

void
house_keeper_let_go(struct house *h, uint32_t index)
{
	struct neighbour *n = neighbour_of(home_of(h), KEEPER, index);

	if (n != NULL && (index & KEEPER_OF_USER) != 0)
		neighbour_lose(n);
}

const struct system_user *
house_user(struct house *h)
{
	return (h->index & KEEPER_OF_USER) != 0 && h->role == KEEPER ? &home_of(h)->user : NULL;
}

/* Those who could give it something to do. */
static const enum role callers_of_keepers[] = { LOGIN, QUEUE, CLERK };

int
house_runner(struct house *h)
{
	return home_of(h)->runner;
}

void
house_rest(struct house *h)
{
	struct home *m = home_of(h);

	/* The clerk, whom the work of the others may need, is the last; an owner's keeper must go on hearing of its accounts. */
	for (size_t r = 0, told = 0; r < COUNT(callers_of_keepers); r++)
		for (uint32_t i = 0; i < m->neighbours[callers_of_keepers[r]]; i++) {
			struct link *l = m->neighbour[callers_of_keepers[r]][i].link;
			if (l == NULL ||
			    (callers_of_keepers[r] == CLERK && (told > 0 || m->user.owner)))
				continue;
			link_say(l, WORD_KEEPER_REST, 0, (struct bytes){ NULL, 0 }, -1);
			told++;
		}
}

bool
house_is_alone(struct house *h)
{
	struct home *m = home_of(h);

	for (size_t r = 0; r < COUNT(callers_of_keepers); r++)
		for (uint32_t i = 0; i < m->neighbours[callers_of_keepers[r]]; i++)
			if (m->neighbour[callers_of_keepers[r]][i].link != NULL &&
			    (callers_of_keepers[r] != CLERK || !m->user.owner))
				return false;
	return true;
}

void
house_rest_for_good(struct house *h)
{
	pack_u32(link_begin(home_of(h)->postmaster, WORD_KEEPER_REST, 0), home_of(h)->introduced);
	link_end(home_of(h)->postmaster);
}

uint32_t
house_peers(struct house *h, enum role role)
{
	return home_of(h)->neighbours[role];
}

bool
house_shares(struct house *h)
{
	const char *text = house_resource_text(h, "sharing");

	return text != NULL && strcmp(text, "yes") == 0;
}

uint32_t
house_keeper_of(struct house *h, uint64_t account)
{
	uint32_t keepers = h->role == KEEPER ? h->of : house_peers(h, KEEPER);
	uint64_t by = house_shares(h) ? account >> 32 : account;

	if (is_system_account(account))
		return KEEPER_OF_USER | system_uid(account);
	if (is_owned_account(account))
		return owner_index(account_owner(account));
	return keepers > 0 ? (uint32_t)(by % keepers) : 0;
}

struct bytes
house_plain_address(struct house *h, struct arena *a, struct bytes written, struct bytes detail)
{
	const char  *delimiters = settings_value(h->settings, "recipient_delimiter");
	struct bytes plain = arena_lower(a, written), local = plain;
	ptrdiff_t    at = bytes_find_last(plain, '@');
	char         before;

	if (at >= 0)
		local = bytes_cut(plain, 0, (size_t)at);
	if (detail.len == 0 || local.len <= detail.len + 1 || !bytes_ends_nocase(local, detail))
		return plain;
	before = local.at[local.len - detail.len - 1];
	if (delimiters == NULL || before == '\0' || strchr(delimiters, before) == NULL)
		return plain;
	return bytes_of(arena_printf(a, "%.*s%.*s", (int)(local.len - detail.len - 1), local.at,
	                             (int)(plain.len - local.len), plain.at + local.len));
}

bool
house_call(struct house *h, enum role role, uint16_t word, struct bytes body, uint16_t *answer,
           struct buffer *reply, int ms)
{
	struct home *m = home_of(h);

	return m->neighbours[role] > 0 && m->neighbour[role][0].fd >= 0 &&
	       link_call(m->neighbour[role][0].fd, word, body, answer, reply, ms) &&
	       word_allowed(*answer, role, h->role);
}

static bool
signer_sign(void *ctx, struct bytes key_id, enum tls_sign_kind kind, int padding, struct bytes in,
            struct buffer *out)
{
	struct word_sign   ask = { key_id, (uint8_t)kind, padding, in };
	struct word_signed got = { .ok = false };
	struct arena      *scratch = arena_open(NULL);
	struct buffer      body = { 0 }, reply = { 0 };
	uint16_t           answer = WORD_NONE;

	word_pack_sign(&body, &ask);
	if (house_call(ctx, SIGNER, WORD_SIGN, buffer_bytes(&body), &answer, &reply,
	               SIGN_WAIT_MS) &&
	    answer == WORD_SIGNED && word_unpack_signed(buffer_bytes(&reply), scratch, &got) &&
	    got.ok)
		buffer_add(out, got.signature);
	else
		got.ok = false;
	buffer_free(&body);
	buffer_free(&reply);
	arena_close(&scratch);
	return got.ok;
}

struct tls_signer
house_signer(struct house *h)
{
	return (struct tls_signer){ signer_sign, h };
}
