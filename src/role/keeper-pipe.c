/*
 * keeper-pipe -- letters for a transport that is a command of this user's (delivery/pipe.h): the command is put together here,
 * the runner executes it, and the queue hears what came of it
 */
#include "delivery/beenhere.h"
#include "delivery/handoff.h"
#include "message/envelope.h"
#include "role/confine.h"
#include "role/keeper.h"
#include "role/transports.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The transports as the settings have them now. */
struct pipes {
	struct arena     *life;
	struct transports all;
};

void
keeper_piped(struct house *h, uint32_t ticket, const struct word_delivered *w)
{
	struct link *l = house_link(h, QUEUE, 0);

	if (l == NULL)
		return; /* a new queue asks again */
	word_pack_delivered(link_begin(l, WORD_PIPED, ticket), w);
	link_end(l);
}

static void
later(struct house *h, uint32_t ticket, const char *status, const char *text)
{
	keeper_piped(h, ticket,
	             &(struct word_delivered){ .result = *status == '5' ? DELIVER_REFUSED
	                                                                : DELIVER_LATER,
	                                       .status = status,
	                                       .text = text });
}

void
keeper_pipes_forget(struct keeper *k)
{
	if (k->pipes != NULL)
		arena_close(&k->pipes->life);
	memory_free(k->pipes);
	k->pipes = NULL;
}

static const struct transport *
transport_of(struct house *h, const char *name)
{
	struct keeper *k = keeper_of(h);

	if (k->pipes == NULL) {
		k->pipes = memory_take(sizeof *k->pipes);
		k->pipes->life = arena_open(NULL);
		transports_read(h->settings, k->pipes->life, &k->pipes->all);
	}
	return transport_named(&k->pipes->all, bytes_of(name));
}

/* maildrop_time_limit, or command_time_limit. */
static int64_t
time_limit(struct house *h, const char *name)
{
	char                       limit[TRANSPORT_NAME_MOST + 16];
	int64_t                    ms = keeper_of(h)->rows.command_ms;
	struct setting             row = { .name = limit,
		                           .kind = SETTING_TIME,
		                           .standard = "$command_time_limit",
		                           .least = 1000,
		                           .most = 86400000 };
	const struct setting_table table = { "", &row, 1 };

	(void)snprintf(limit, sizeof limit, "%s_time_limit", name);
	settings_know_row(h->settings, &row);
	(void)settings_fill(h->settings, &table, name, &ms, NULL);
	return ms;
}

/* What the command gets to know. */
static void
facts_of(struct house *h, const struct word_pipe *w, const struct envelope *e, struct pipe_facts *f)
{
	struct arena          *a = keeper_of(h)->scratch;
	struct pipe_recipient *to = arena_take_array(a, w->recipients, sizeof *to);
	const char            *delimiter = settings_value(h->settings, "recipient_delimiter");
	char                  *id = arena_take(a, 24);

	for (uint32_t i = 0; i < w->recipients; i++)
		to[i] = (struct pipe_recipient){ w->recipient[i].address,
			                         w->recipient[i].original };
	letter_id_text(w->letter, id);
	*f = (struct pipe_facts){
		.sender = w->sender,
		.nexthop = bytes_of(w->nexthop),
		.queue_id = bytes_of(id),
		.envid = e->envid,
		.client_helo = e->helo,
		.client_protocol = protocol_plain(e->protocol),
		.sasl_method = e->origin.method,
		.sasl_sender = e->origin.auth_sender,
		.sasl_username = e->user,
		.size = e->prefix.len + e->content_len,
		.delimiters = delimiter != NULL ? delimiter : "",
		.recipient = to,
		.recipients = w->recipients,
	};
	client_halves(e->client, &f->client_hostname, &f->client_address);
	if (e->origin.port != 0)
		f->client_port = bytes_of(arena_printf(a, "%u", (unsigned)e->origin.port));
	else if (f->client_address.len > 0)
		f->client_port = BYTES("unknown");
}

/* The number of the group its commands run under, "" the user's own. */
static const char *
group_of(struct house *h, const struct pipe_command *c)
{
	const struct system_user *u = house_user(h);

	return c->group.len > 0 ? arena_printf(keeper_of(h)->scratch, "%u", u->pipe_gid) : "";
}

static const char *
wrong_with(struct keeper *k, const struct word_pipe *w, const struct pipe_command *c,
           const struct pipe_facts *f, const char **status)
{
	*status = "5.2.3";
	if (c->size_most > 0 && f->size > (uint64_t)c->size_most)
		return "message too large";
	*status = "5.4.6";
	for (uint32_t i = 0; (c->flags & PIPE_DELIVERED) != 0 && i < w->recipients; i++)
		if (keeper_has_been_here(k, w->envelope_segment, w->envelope_at, w->letter,
		                         w->recipient[i].address))
			return been_here_text(w->recipient[i].address, k->scratch);
	*status = "5.1.3";
	return NULL;
}

/* Everything of it is known: the runner gets it.  NULL, or why not and *status. */
static const char *
pipe_go(struct house *h, uint32_t ticket, const struct word_pipe *w, const struct transport *t,
        const char **status)
{
	struct keeper            *k = keeper_of(h);
	const struct system_user *u = house_user(h);
	struct pipe_command       c;
	struct pipe_facts         f;
	struct envelope           e;
	struct handoff            handoff = { .kind = HANDOFF_PIPE };
	struct buffer             words = { 0 }, head = { 0 }, environment = { 0 };
	const char               *why = NULL;
	int error = keeper_letter_envelope(k, w->envelope_segment, w->envelope_at, w->letter, &e,
	                                   &handoff.at);

	*status = "4.3.0";
	if (error != 0)
		return letters_why(error);
	*status = "4.3.5";
	if (!pipe_read(t->command, k->scratch, &c, &why))
		return why;
	facts_of(h, w, &e, &f);
	why = wrong_with(k, w, &c, &f, status);
	if (why == NULL && pipe_words(&c, &f, k->scratch, &words, &why)) {
		pipe_head(&c, &f, &head);
		delivery_passed(w->passed, &head);
		buffer_add(&head, e.prefix);
		keeper_exported(k, &environment);
		handoff_variable(&environment, "USER", bytes_of(u->name));
		handoff_variable(&environment, "LOGNAME", bytes_of(u->name));
		handoff_variable(&environment, "HOME", bytes_of(u->home));
		handoff_variable(&environment, "SHELL", bytes_of(u->shell));
		handoff.what = buffer_bytes(&words);
		handoff.home = c.directory;
		handoff.limit_ms = time_limit(h, t->name);
		handoff.environment = buffer_bytes(&environment);
		handoff.from = bytes_of(keeper_from_line(k->scratch, pipe_sender(&c, w->sender)));
		handoff.head = buffer_bytes(&head);
		handoff.len = e.content_len;
		handoff.arrived_us = e.arrived_us;
		handoff.letter = w->letter;
		handoff.flags = c.flags;
		handoff.eol = c.eol;
		handoff.service = bytes_of(t->name);
		handoff.group = bytes_of(group_of(h, &c));
		*status = "4.3.0";
		if (!keeper_handoff_send(h, ticket, true, &handoff, w->envelope_segment))
			why = "too many commands at once";
	}
	buffer_free(&words);
	buffer_free(&head);
	buffer_free(&environment);
	return why;
}

bool
hear_pipe(struct house *h, uint32_t ticket, struct bytes body, int fd)
{
	struct keeper          *k = keeper_of(h);
	const struct transport *t;
	const char             *why, *status = "4.3.0";
	struct word_pipe        w;
	int                     error;

	arena_clear(k->scratch);
	if (fd < 0)
		return false;
	if (!k->personal || !word_unpack_pipe(body, k->scratch, &w) || w.recipients == 0) {
		(void)close(fd);
		return false;
	}
	if ((error = letters_lend(k->letters, w.envelope_segment, fd)) != 0) {
		later(h, ticket, status, strerror(error));
		return true;
	}
	t = transport_of(h, w.transport);
	if (t == NULL || t->kind != BY_PIPE)
		why = "the transport is no pipe any more";
	else
		why = pipe_go(h, ticket, &w, t, &status);
	if (why != NULL)
		later(h, ticket, status, why);
	letters_forget(k->letters, w.envelope_segment);
	return true;
}
