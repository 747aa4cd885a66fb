/*
 * keeper-handoff -- letters for commands and files: the runner beside us does it, and says what became of it
 */
#include "base/clock.h"
#include "directory/directory.h"
#include "directory/lookup.h"
#include "message/address.h"
#include "message/envelope.h"
#include "role/keeper.h"
#include "role/runner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* An answer that is awaited. */
struct awaited {
	uint32_t ticket, queue; /* of the queue's word, of which queue */
	bool     pipe;
};

static void
say(struct house *h, uint32_t ticket, bool pipe, const struct delivery_answer *got)
{
	/* clang-format off */
	static const uint8_t result[] = {
		[DELIVERY_DONE] = DELIVER_DONE, [DELIVERY_LATER] = DELIVER_LATER, [DELIVERY_REFUSED] = DELIVER_REFUSED,
	};
	/* clang-format on */

	struct word_delivered w = { .result = result[got->result],
		                    .status = got->status,
		                    .text = got->text };

	if (pipe)
		keeper_piped(h, ticket, &w);
	else
		keeper_delivered(h, ticket, &w);
}

/* ---- the handoff ---- */

/* local@domain, the half that is asked for. */
static struct bytes
half(struct bytes address, bool domain)
{
	ptrdiff_t at = bytes_find_last(address, '@');

	if (at < 0)
		return domain ? (struct bytes){ NULL, 0 } : address;
	return domain ? bytes_cut(address, (size_t)at + 1, SIZE_MAX)
	              : bytes_cut(address, 0, (size_t)at);
}

/* What stands behind the delimiter of an address. */
static struct bytes
extension_of(struct house *h, struct bytes address)
{
	const char  *delimiter = settings_value(h->settings, "recipient_delimiter");
	struct bytes name, extension = { NULL, 0 };

	if (delimiter == NULL ||
	    !lookup_split(half(address, false), bytes_of(delimiter), &name, &extension))
		return (struct bytes){ NULL, 0 };
	return bytes_cut(extension, 1, SIZE_MAX);
}

/* What stands before the extension. */
static struct bytes
name_of(struct house *h, struct bytes address)
{
	const char  *delimiter = settings_value(h->settings, "recipient_delimiter");
	struct bytes name = half(address, false), extension;

	if (delimiter != NULL)
		(void)lookup_split(half(address, false), bytes_of(delimiter), &name, &extension);
	return name;
}

struct bytes
keeper_whole_address(struct house *h, const struct word_deliver *w)
{
	const char  *delimiter = settings_value(h->settings, "recipient_delimiter");
	struct bytes name = half(w->address, false);

	if (system_kind_of(w->account) > SYSTEM_OWN_MAILBOX || w->detail.len == 0 ||
	    delimiter == NULL || extension_of(h, w->address).len > 0)
		return w->address;
	return bytes_of(arena_printf(keeper_of(h)->scratch, "%.*s%c%.*s%.*s", (int)name.len,
	                             name.at, *delimiter, (int)w->detail.len, w->detail.at,
	                             (int)(w->address.len - name.len), w->address.at + name.len));
}

/* ---- its environment ---- */

/* "{NAME = value}" or "NAME=value" of a list. */
static void
exported_pair(struct bytes item, ptrdiff_t equals, struct arena *a, struct buffer *b)
{
	struct bytes name = bytes_trim(bytes_cut(item, 0, (size_t)equals));

	handoff_variable(b, arena_copy(a, name),
	                 bytes_trim(bytes_cut(item, (size_t)equals + 1, SIZE_MAX)));
}

void
keeper_exported(const struct keeper *k, struct buffer *b)
{
	const struct setting_list *list = &k->rows.exported;

	for (size_t i = 0; i < list->count; i++) {
		struct bytes item = bytes_of(list->item[i]);
		const char  *value;
		ptrdiff_t    equals;

		if (bytes_starts(item, BYTES("{")) && item.at[item.len - 1] == '}')
			item = bytes_trim(bytes_cut(item, 1, item.len - 2));
		if ((equals = bytes_find(item, '=')) >= 0)
			exported_pair(item, equals, k->scratch, b);
		else if (bytes_is(item, "LANG"))
			handoff_variable(b, "LANG",
			                 BYTES("C")); /* as Postfix's import_environment has it */
		else if ((value = getenv(arena_copy(k->scratch, item))) != NULL)
			handoff_variable(b, arena_copy(k->scratch, item), bytes_of(value));
	}
}

/* What a command of a user's may know, and names of command_execution_directory.  See local(8), EXTERNAL COMMAND DELIVERY. */
enum { VARIABLES = 17 };
struct variables {
	struct {
		const char  *name, *later; /* later: in a directory; NULL: not there */
		struct bytes value;
	} of[VARIABLES];
	size_t count;
};

static void
add_variable(struct variables *v, const char *name, const char *later, struct bytes value)
{
	v->of[v->count].name = name;
	v->of[v->count].later = later;
	v->of[v->count++].value = value;
}

/* What is empty is not there. */
static void
add_word(struct variables *v, const char *name, const char *later, struct bytes value)
{
	if (value.len > 0)
		add_variable(v, name, later, value);
}

/* As it is meant: without the quotes of a local part. */
static struct bytes
meant(struct house *h, struct bytes address)
{
	struct arena  *scratch = keeper_of(h)->scratch;
	struct bytes   domain = half(address, true);
	struct address a;

	if (!address_parse(address, scratch, &a))
		return address;
	return bytes_of(arena_printf(scratch, "%.*s@%.*s", (int)a.local.len, a.local.at,
	                             (int)domain.len, domain.at));
}

/* A command of an alias of root's runs for the name of that, and as somebody whose home it is not. */
static bool
is_of_nobody(struct house *h, const struct word_deliver *w)
{
	const char *privs = settings_value(h->settings, "default_privs");

	return system_kind_of(w->account) == SYSTEM_COMMAND && privs != NULL &&
	       strcmp(privs, house_user(h)->name) == 0;
}

static void
find_variables(struct house *h, const struct word_deliver *w, const struct envelope *e,
               struct variables *v)
{
	const struct system_user *u = house_user(h);
	struct bytes              address = keeper_whole_address(h, w);
	struct bytes              lower = arena_lower(keeper_of(h)->scratch, address), name, host;
	bool                      nobody = is_of_nobody(h, w);
	struct bytes              user = nobody ? name_of(h, lower) : bytes_of(u->name);

	add_word(v, "USER", "user", user);
	add_word(v, "LOGNAME", NULL, user);
	add_word(v, "HOME", "home", nobody ? BYTES("") : bytes_of(u->home));
	add_word(v, "SHELL", "shell", nobody ? BYTES("") : bytes_of(u->shell));
	add_variable(v, "SENDER", NULL,
	             meant(h, w->sender)); /* of nobody's letter there, and empty */
	add_word(v, "RECIPIENT", "recipient", address);
	add_word(v, "ORIGINAL_RECIPIENT", NULL, meant(h, w->original));
	add_word(v, "LOCAL", "local", half(lower, false));
	add_word(v, "DOMAIN", "domain", half(lower, true));
	add_word(v, "EXTENSION", "extension", extension_of(h, lower));
	client_halves(e->client, &name, &host);
	add_word(v, "CLIENT_HOSTNAME", NULL, name);
	add_word(v, "CLIENT_ADDRESS", NULL, host);
	add_word(v, "CLIENT_HELO", NULL, e->helo);
	add_word(v, "CLIENT_PROTOCOL", NULL, protocol_plain(e->protocol));
	add_word(v, "SASL_METHOD", NULL, e->origin.method);
	add_word(v, "SASL_SENDER", NULL, e->origin.auth_sender);
	add_word(v, "SASL_USERNAME", NULL, e->user);
}

static void
add_environment(struct keeper *k, const struct variables *v, struct buffer *b)
{
	keeper_exported(k, b);
	for (size_t i = 0; i < v->count; i++)
		handoff_filter(b, v->of[i].name, v->of[i].value, k->rows.command_filter);
}

struct naming {
	const struct keeper    *keeper;
	const struct variables *variables;
};

/* What a name of command_execution_directory stands for. */
static bool
know(void *ctx, struct bytes name, struct bytes *value)
{
	const struct naming    *n = ctx;
	const struct variables *v = n->variables;
	struct buffer           b = { 0 };

	for (size_t i = 0; i < v->count; i++) {
		if (v->of[i].later == NULL || !bytes_is(name, v->of[i].later))
			continue;
		handoff_filter(&b, "", v->of[i].value, n->keeper->rows.directory_filter);
		*value = arena_keep(n->keeper->scratch, bytes_cut(buffer_bytes(&b), 1, b.len - 2));
		buffer_free(&b);
		return true;
	}
	return false;
}

/* "From sender Sun Nov 22 08:00:00 2026", as an mbox begins a letter (rfc4155). */
const char *
keeper_from_line(struct arena *a, struct bytes sender)
{
	time_t    now = (time_t)clock_wall();
	struct tm tm;
	char      when[40] = "";
	char     *who = arena_take(a, sender.len + 1);

	for (size_t i = 0; i < sender.len; i++)
		who[i] = sender.at[i] <= ' ' ? '-' : sender.at[i];
	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
	return arena_printf(a, "From %s  %s", *who != '\0' ? who : "MAILER-DAEMON", when);
}

static bool
send_handoff(int to, struct bytes body, int letter)
{
	struct iovec    part = { (void *)(uintptr_t)body.at, body.len };
	char            control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr   m = { .msg_iov = &part,
		              .msg_iovlen = 1,
		              .msg_control = control,
		              .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof letter);
	memcpy(CMSG_DATA(c), &letter, sizeof letter);
	return body.len <= RUNNER_PACKET && sendmsg(to, &m, MSG_NOSIGNAL) == (ssize_t)body.len;
}

/* The envelope of the letter that was lent; its content lies before it, and is proved here. */
int
keeper_letter_envelope(struct keeper *k, uint32_t segment, uint64_t place, uint64_t letter,
                       struct envelope *e, uint64_t *at)
{
	struct bytes packed;
	char         last;
	int why = letters_envelope(k->letters, segment, place, letter, k->scratch, &packed);

	if (why != 0)
		return why;
	if (!envelope_unpack(packed, k->scratch, e) || record_takes(e->content_len) > place)
		return EBADMSG;
	*at = place - record_takes(e->content_len) + RECORD_HEADER;
	return e->content_len == 0
	               ? 0
	               : letters_read(k->letters,
	                              &(struct letter_place){ .content_segment = segment,
	                                                      .content_at = *at,
	                                                      .content_len = e->content_len },
	                              e->content_len - 1, &last, 1);
}

bool
keeper_handoff_send(struct house *h, uint32_t ticket, bool pipe, struct handoff *e,
                    uint32_t segment)
{
	struct keeper  *k = keeper_of(h);
	uint64_t        number = ++k->next_handoff;
	struct awaited *awaited;
	struct buffer   packed = { 0 };
	bool            sent;

	e->ticket = (uint32_t)number;
	handoff_pack(&packed, e);
	sent = send_handoff(house_runner(h), buffer_bytes(&packed),
	                    letters_fd(k->letters, segment));
	buffer_free(&packed);
	if (!sent)
		return false;
	number = (uint32_t)number;
	awaited = memory_take(sizeof *awaited);
	*awaited = (struct awaited){ ticket, k->queues, pipe };
	(void)map_put(k->handoffs, map_number(&number), awaited);
	k->parcels++;
	return true;
}

void
keeper_handoff(struct house *h, uint32_t ticket, const struct word_deliver *w, int kind,
               struct bytes what)
{
	struct keeper            *k = keeper_of(h);
	const struct system_user *u = house_user(h);
	struct buffer             environment = { 0 }, head = { 0 }, directory = { 0 };
	struct variables          variables = { .count = 0 };
	struct handoff            handoff = { .kind = (enum handoff_kind)kind, .what = what };
	struct envelope           e;
	uint64_t                  at;
	int                       why =
		keeper_letter_envelope(k, w->envelope_segment, w->envelope_at, w->letter, &e, &at);
	bool sent = false;

	if (why == 0) {
		find_variables(h, w, &e, &variables);
		add_environment(k, &variables, &environment);
		settings_expand_later(bytes_of(k->rows.command_directory), know,
		                      &(struct naming){ k, &variables }, &directory);
		buffer_add(&head,
		           delivery_head(w->sender, w->original,
		                         keeper_delivered_to(h, w,
		                                             kind == HANDOFF_FILE ? "file"
		                                                                  : "command"),
		                         w->passed, k->scratch));
		buffer_add(&head, e.prefix);
		handoff.home = bytes_of(u->home);
		handoff.shell = bytes_of(k->rows.shell);
		handoff.directory = buffer_bytes(&directory);
		handoff.limit_ms = k->rows.command_ms;
		handoff.environment = buffer_bytes(&environment);
		handoff.from = bytes_of(keeper_from_line(k->scratch, w->sender));
		handoff.head = buffer_bytes(&head);
		handoff.at = at;
		handoff.len = e.content_len;
		handoff.arrived_us = e.arrived_us;
		handoff.letter = w->letter;
		sent = keeper_handoff_send(h, ticket, false, &handoff, w->envelope_segment);
	}
	if (!sent)
		say(h, ticket, false,
		    &(struct delivery_answer){ DELIVERY_LATER, false, "4.3.0",
		                               why != 0 ? letters_why(why)
		                                        : "too many commands at once" });
	buffer_free(&environment);
	buffer_free(&head);
	buffer_free(&directory);
}

/* ---- and its end ---- */

/* Without it nothing can be done for this user; the next keeper has another. */
static void
runner_lost(struct house *h)
{
	struct keeper *k = keeper_of(h);

	fault("the process for commands has ended: so do we");
	watch_close(&k->runner);
	house_leave(h);
}

static void
runner_said(void *house, int bits)
{
	struct house          *h = house;
	struct keeper         *k = keeper_of(h);
	static char            body[RUNNER_PACKET];
	struct delivery_answer got;
	struct awaited        *awaited;
	uint32_t               ticket;
	ssize_t                n;

	(void)bits;
	while ((n = recv(house_runner(h), body, sizeof body, 0)) > 0) {
		arena_clear(k->scratch);
		if (!runner_answer_unpack((struct bytes){ body, (size_t)n }, k->scratch, &ticket,
		                          &got))
			continue;
		uint64_t number = ticket;
		awaited = map_drop(k->handoffs, map_number(&number));
		if (awaited == NULL)
			continue;
		k->parcels--;
		if (awaited->queue == k->queues)
			say(h, awaited->ticket, awaited->pipe, &got);
		memory_free(awaited);
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		runner_lost(h);
	else
		keeper_user_anew(h);
}

void
keeper_handoffs_open(struct house *h)
{
	struct keeper *k = keeper_of(h);

	k->handoffs = map_open();
	if (house_runner(h) < 0)
		return;
	k->runner = watch_open(h->loop, house_runner(h), runner_said, h);
	watch_want(k->runner, LOOP_READ);
}
