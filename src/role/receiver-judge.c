/*
 * receiver-judge -- from the final dot to the verdict: a verifier looks at the letter; what its checks say is done; when
 * that changes the content, it is judged again for its digest
 */
#include "role/receiver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "message/digest.h"
#include "message/envelope.h"

int
passage_content(const struct passage *p, struct bytes *content, uint64_t *at, uint64_t *len)
{
	int fd = p->stream == NULL ? -1 : writer_stream_fd(p->stream, at, len);

	*content = fd < 0 ? buffer_bytes(&p->letter->content) : BYTES("");
	if (fd < 0) {
		*at = 0;
		*len = content->len;
	}
	return fd;
}

static void
ask_verifier(struct question *q)
{
	struct passage   *p = (struct passage *)q;
	struct letter    *l = p->letter;
	struct link      *link = house_link(p->house, VERIFIER, q->verifier);
	struct buffer     trace = { 0 };
	struct word_judge w = {
		.append = p->step == PASSAGE_DIGEST,
		.listener = "",
		.client = l->client,
		.helo = l->helo,
		.sender = l->sender,
		.user = l->user,
		.peer = l->peer,
	};
	int fd;

	if (p->step == PASSAGE_CHECKS && checks_hold(p)) {
		w.listener = l->config->listener;
		letter_received(l, p->no_id, &trace);
		w.trace = buffer_bytes(&trace);
		w.known = p->inquest == NULL ? BYTES("") : inquest_known(p->inquest);
	}
	fd = passage_content(p, &w.content, &w.at, &w.len);
	w.inside = fd < 0;
	word_pack_judge(link_begin(link, WORD_JUDGE, q->ticket), &w);
	if (fd >= 0)
		link_end_fd(link, fd);
	else
		link_end(link);
	buffer_free(&trace);
}

void
passage_refuse(struct passage *p, enum verdict verdict, const char *reply)
{
	receiver_of(p->house)->passing--;
	if (verdict == VERDICT_REFUSE)
		reply = checks_refused(p, reply);
	checks_tell(p, "NOQUEUE");
	milter_release(p);
	letter_judged(p->letter, verdict, reply, BYTES(""), BYTES(""));
}

/* Taken, and thrown away: who sent it hears of an id that no letter has. */
void
passage_discard(struct passage *p)
{
	struct letter *l = p->letter;
	char           id[24];

	(void)snprintf(id, sizeof id, "%010" PRIX64, random_below(UINT64_C(1) << 40));
	checks_tell(p, id);
	tell_thrown_away(p->house, l, p->story, id);
	milter_release(p);
	need_stream_drop(p->house, l);
	l->streamed = false;
	receiver_of(p->house)->passing--;
	letter_safe(l, 0, id);
}

static void verifier_answered(struct question *, const struct bytes *body);

static void
ask_judge(struct passage *p)
{
	p->question.ask = ask_verifier;
	p->question.answered = verifier_answered;
	p->question.weight = p->stream != NULL ? QUESTION_HEAVY : 0;
	question_ask(&receiver_of(p->house)->questions, &p->question);
}

/* What the letter says of itself now. */
static void
seen_now(struct letter *l, struct bytes packed)
{
	struct fields *f = &l->reader.fields;
	struct digest  d;

	if (!digest_view(packed, &d))
		return;
	f->seen &= ~(unsigned)(SEEN_DATE | SEEN_MESSAGE_ID | SEEN_FROM);
	f->seen |= (d.flags & DIGEST_HAS_DATE) != 0 ? SEEN_DATE : 0;
	f->seen |= (d.flags & DIGEST_HAS_MESSAGE_ID) != 0 ? SEEN_MESSAGE_ID : 0;
	f->seen |= (d.flags & DIGEST_HAS_FROM) != 0 ? SEEN_FROM : 0;
	(void)bytes_string(d.message_id, f->message_id, sizeof f->message_id);
}

void
passage_finish(struct passage *p)
{
	if (!author_ask(p))
		letter_judged(p->letter, VERDICT_ACCEPT, "", p->prefix, p->digest);
}

/* The content is what it will be: what is kept is what the digest is of. */
static void
last_step(struct passage *p)
{
	if (p->step == PASSAGE_CHECKS && p->edited) {
		p->step = PASSAGE_DIGEST;
		ask_judge(p);
	} else
		passage_finish(p);
}

/* Who is asked about the letter besides.  True: passage_go_on(), _refuse() or _discard() will follow. */
static bool (*const hooks[])(struct passage *) = { scan_ask, milter_ask };

void
passage_go_on(struct passage *p)
{
	while (p->hooks < COUNT(hooks))
		if (hooks[p->hooks++](p))
			return;
	last_step(p);
}

void
passage_edited(struct passage *p, int why)
{
	if (p->new_body >= 0)
		(void)close(p->new_body);
	p->new_body = -1;
	p->edited = true;
	if (why == 0)
		passage_go_on(p);
	else
		passage_refuse(p, VERDICT_LATER,
		               why == ENOSPC || why == EDQUOT
		                       ? "452 4.3.1 Insufficient system storage"
		                       : "451 4.3.0 Error: queue file write error");
}

static void
answered_elsewhere(void *ctx)
{
	ask_judge(ctx);
}

/* The checks need tables that are elsewhere: those of this letter's listener are asked, then the letter is judged again. */
static void
ask_elsewhere(struct passage *p, struct bytes wanted)
{
	struct receiver       *r = receiver_of(p->house);
	struct checks_settings set;

	if (p->inquest == NULL)
		p->inquest = inquest_open(r->inquests, answered_elsewhere, p);
	if (p->no_id[0] == '\0' ||
	    !house_settings(p->house, &checks_setting_table, p->letter->config->listener, &set) ||
	    !inquest_ask(p->inquest, wanted, set.list, CHECK_LISTS)) {
		inquest_close(&p->inquest);
		passage_refuse(p, VERDICT_LATER, "451 4.3.0 Error: queue file write error");
	}
}

static void
checked(struct passage *p, const struct word_judged *w)
{
	struct arena *life = p->letter->life;

	/* Of a listener that has no checks nothing was asked: p->no_id is what it was given to say. */
	if (w->said.len > 0 &&
	    (p->no_id[0] == '\0' || !checks_obey(p, arena_keep(life, w->said)))) {
		passage_refuse(p, VERDICT_LATER, NULL);
		return;
	}
	if (w->verdict != JUDGE_ACCEPT) {
		if (p->said != NULL)
			p->letter->refused_by = p->said->by;
		passage_refuse(p, w->verdict == JUDGE_REFUSE ? VERDICT_REFUSE : VERDICT_LATER,
		               w->reply);
		return;
	}
	p->prefix = arena_keep(life, w->prefix);
	p->digest = arena_keep(life, w->digest);
	if (p->said != NULL && p->said->discard)
		passage_discard(p);
	else if (p->said != NULL && p->said->edits.count > 0)
		letter_edit(p, &p->said->edits, -1, 0, passage_edited);
	else
		passage_go_on(p);
}

/* Two verifiers that died of it are enough: 451, and the client may try again. */
static void
verifier_answered(struct question *q, const struct bytes *body)
{
	struct passage    *p = (struct passage *)q;
	struct receiver   *r = receiver_of(p->house);
	struct word_judged w;

	bool good;

	arena_clear(r->scratch);
	good = body != NULL && word_unpack_judged(*body, r->scratch, &w);
	if (good && w.verdict == JUDGE_ASKS && p->step == PASSAGE_CHECKS) {
		ask_elsewhere(p, w.said);
		return;
	}
	inquest_close(&p->inquest);
	if (!good)
		passage_refuse(p, VERDICT_LATER, NULL);
	else if (p->step == PASSAGE_CHECKS)
		checked(p, &w);
	else if (w.verdict != JUDGE_ACCEPT)
		passage_refuse(p, VERDICT_LATER, NULL);
	else {
		seen_now(p->letter, w.digest);
		p->digest = arena_keep(p->letter->life, w.digest);
		passage_finish(p);
	}
}

static void
judge_rewritten(struct house *h, struct letter *l, bool good)
{
	receiver_of(h)->passing--;
	if (!good)
		milter_release(passage_of(h, l));
	if (good)
		need_judge(h, l);
	else
		letter_judged(l, VERDICT_LATER, "451 4.3.0 Temporary lookup failure", BYTES(""),
		              BYTES(""));
}

void
need_judge(void *house, struct letter *l)
{
	struct receiver *r = receiver_of(house);
	struct passage  *p = passage_of(house, l);

	if (l->handling.filter.len == 0)
		l->handling.filter = bytes_of(l->config->set.content_filter);
	r->passing++;
	if (proxy_ask(p))
		return;
	milter_take(p);
	if (!rewrite_ask(house, l, judge_rewritten))
		ask_judge(p);
}
