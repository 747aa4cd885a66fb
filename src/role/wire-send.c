/* wire-send.c -- the bodies of words about letters that go elsewhere */
#include "role/wire_inner.h"

enum {
	EACH_SEND = 4 + 4 + 1,
	EACH_SENT = 1 + 4 + 4 + 4 + 4 + 1 + 1 + 1,
	EACH_TLS = 1 + 8 * 4,
	EACH_MAIL = 4,
	EACH_PIPE = 4 + 4
};

static void
pack_sts(struct buffer *b, const struct word_sts *w)
{
	pack_string(b, w->text.len > 0 ? w->domain : "");
	pack_string(b, w->text.len > 0 ? w->id : "");
	pack_bytes(b, w->text);
	pack_u64(b, (uint64_t)w->fetched_s);
}

static struct word_sts
read_sts(struct reader *r)
{
	struct word_sts w = { .domain = read_string(r), .id = read_string(r) };

	w.text = unpack_bytes(&r->fields);
	w.fetched_s = (int64_t)unpack_u64(&r->fields);
	/* Without a text there is nothing that a name could be of. */
	if (w.text.len == 0 && (w.domain[0] != '\0' || w.id[0] != '\0'))
		r->fields.broken = true;
	return w;
}

void
word_pack_url(struct buffer *b, const struct word_url *w)
{
	pack_u64(b, w->account);
	pack_string(b, w->owner);
	pack_string(b, w->user);
	pack_bytes(b, w->text);
}

bool
word_unpack_url(struct bytes body, struct arena *life, struct word_url *w)
{
	struct reader r = reader_of(body, life);

	w->account = unpack_u64(&r.fields);
	w->owner = read_string(&r);
	w->user = read_string(&r);
	w->text = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_url_begin(struct buffer *b, enum url_begins how, uint64_t len)
{
	pack_u8(b, (uint8_t)how);
	pack_u64(b, len);
}

bool
word_url_begins(struct bytes body, struct word_url_begins *w)
{
	struct unpack u = unpack_of(body);

	w->how = unpack_u8(&u);
	w->len = unpack_u64(&u);
	return unpack_done(&u) && w->how <= URL_LATER;
}

void
word_pack_route(struct buffer *b, const struct word_route *w)
{
	pack_bytes(b, w->address);
	pack_bytes(b, w->sender);
	pack_bool(b, w->forwarded);
	pack_bool(b, w->probe);
	pack_bool(b, w->let_go);
}

bool
word_unpack_route(struct bytes body, struct arena *life, struct word_route *w)
{
	struct reader r = reader_of(body, life);

	w->address = unpack_bytes(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->forwarded = unpack_bool(&r.fields);
	w->probe = unpack_bool(&r.fields);
	w->let_go = unpack_bool(&r.fields);
	return reader_done(&r);
}

void
word_pack_routed(struct buffer *b, const struct word_routed *w)
{
	pack_u8(b, w->scope);
	pack_bool(b, w->passing);
	pack_string(b, w->transport);
	pack_string(b, w->nexthop);
	pack_string(b, w->sender);
	pack_u32(b, w->lifetime_s);
}

bool
word_unpack_routed(struct bytes body, struct arena *life, struct word_routed *w)
{
	struct reader r = reader_of(body, life);

	w->scope = read_choice(&r, ROUTED_LATER);
	w->passing = unpack_bool(&r.fields);
	w->transport = read_string(&r);
	w->nexthop = read_string(&r);
	w->sender = read_string(&r);
	w->lifetime_s = unpack_u32(&r.fields);
	return reader_done(&r);
}

void
word_pack_send(struct buffer *b, const struct word_send *w)
{
	pack_u64(b, w->letter);
	pack_string(b, w->transport);
	pack_string(b, w->nexthop);
	pack_bool(b, w->lmtp);
	pack_bool(b, w->more);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_u64(b, (uint64_t)w->age_s);
	pack_bytes(b, w->prefix);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->envid);
	pack_bytes(b, w->client);
	pack_bytes(b, w->helo);
	pack_bytes(b, w->protocol);
	pack_u16(b, w->port);
	pack_bytes(b, w->solicit);
	pack_u8(b, w->ret);
	pack_u8(b, w->body);
	pack_bool(b, w->eight_bit);
	pack_u32(b, w->flags);
	handling_pack(&w->handling, b);
	pack_sts(b, &w->sts);
	pack_u32(b, w->recipients);
	for (uint32_t i = 0; i < w->recipients; i++) {
		pack_bytes(b, w->recipient[i].address);
		pack_bytes(b, w->recipient[i].orcpt);
		pack_u8(b, w->recipient[i].notify);
	}
}

bool
word_unpack_send(struct bytes body, struct arena *life, struct word_send *w)
{
	struct reader          r = reader_of(body, life);
	struct send_recipient *to;

	w->letter = unpack_u64(&r.fields);
	w->transport = read_string(&r);
	w->nexthop = read_string(&r);
	w->lmtp = unpack_bool(&r.fields);
	w->more = unpack_bool(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->age_s = (int64_t)unpack_u64(&r.fields);
	w->prefix = unpack_bytes(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->envid = unpack_bytes(&r.fields);
	w->client = unpack_bytes(&r.fields);
	w->helo = unpack_bytes(&r.fields);
	w->protocol = unpack_bytes(&r.fields);
	w->port = unpack_u16(&r.fields);
	w->solicit = unpack_bytes(&r.fields);
	w->ret = unpack_u8(&r.fields);
	w->body = read_choice(&r, BODY_BINARYMIME);
	w->eight_bit = unpack_bool(&r.fields);
	w->flags = unpack_u32(&r.fields);
	if (!handling_unpack(&r.fields, &w->handling))
		return false;
	w->sts = read_sts(&r);
	w->recipients = read_count(&r, EACH_SEND, ENVELOPE_RECIPIENTS_MOST);
	to = arena_take_array(life, w->recipients, sizeof *to);
	for (uint32_t i = 0; i < w->recipients; i++) {
		to[i].address = unpack_bytes(&r.fields);
		to[i].orcpt = unpack_bytes(&r.fields);
		to[i].notify = unpack_u8(&r.fields);
	}
	w->recipient = to;
	return reader_done(&r);
}

void
word_pack_alert(struct buffer *b, const struct word_alert *w)
{
	pack_string(b, w->to);
	pack_string(b, w->subject);
	pack_string(b, w->text);
}

bool
word_unpack_alert(struct bytes body, struct arena *life, struct word_alert *w)
{
	struct reader r = reader_of(body, life);

	w->to = read_string(&r);
	w->subject = read_string(&r);
	w->text = read_string(&r);
	return reader_done(&r);
}

void
word_pack_mishap(struct buffer *b, const struct word_mishap *w)
{
	pack_string(b, w->to);
	pack_string(b, w->what);
	pack_string(b, w->who);
	pack_bytes(b, w->text);
	pack_u32(b, w->left_out);
	pack_u32(b, w->unsaid);
}

bool
word_unpack_mishap(struct bytes body, struct arena *life, struct word_mishap *w)
{
	struct reader r = reader_of(body, life);

	w->to = read_string(&r);
	w->what = read_string(&r);
	w->who = read_string(&r);
	w->text = unpack_bytes(&r.fields);
	w->left_out = unpack_u32(&r.fields);
	w->unsaid = unpack_u32(&r.fields);
	return reader_done(&r);
}

void
word_pack_tlsrpt(struct buffer *b, const struct word_tlsrpt *w)
{
	pack_string(b, w->domain);
	pack_string(b, w->contact);
	pack_string(b, w->id);
	pack_string(b, w->file);
	pack_bytes(b, w->content);
}

bool
word_unpack_tlsrpt(struct bytes body, struct arena *life, struct word_tlsrpt *w)
{
	struct reader r = reader_of(body, life);

	w->domain = read_string(&r);
	w->contact = read_string(&r);
	w->id = read_string(&r);
	w->file = read_string(&r);
	w->content = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_tlsrpt_said(struct buffer *b, const struct word_tlsrpt_said *w)
{
	pack_u8(b, w->fate);
	pack_u32(b, w->mails);
	for (uint32_t i = 0; i < w->mails; i++)
		pack_string(b, w->mail[i]);
}

bool
word_unpack_tlsrpt_said(struct bytes body, struct arena *life, struct word_tlsrpt_said *w)
{
	struct reader r = reader_of(body, life);

	w->fate = read_choice(&r, TLSRPT_AGAIN);
	w->mails = read_count(&r, EACH_MAIL, TLSRPT_MAIL_MOST);
	for (uint32_t i = 0; i < w->mails; i++)
		w->mail[i] = read_string(&r);
	return reader_done(&r);
}

void
word_pack_sent(struct buffer *b, const struct word_sent *w)
{
	pack_bool(b, w->unreachable);
	pack_u64(b, w->connect_us);
	pack_u64(b, w->transfer_us);
	pack_sts(b, &w->sts);
	pack_u32(b, w->tlss);
	for (uint32_t i = 0; i < w->tlss; i++) {
		const struct tls_result *t = &w->tls[i];
		const char *const        texts[] = { t->domain, t->text,   t->host,  t->address,
			                             t->type,   t->reason, t->local, t->helo };

		pack_u8(b, t->policy);
		for (size_t n = 0; n < COUNT(texts); n++)
			pack_string(b, texts[n]);
	}
	pack_u32(b, w->recipients);
	for (uint32_t i = 0; i < w->recipients; i++) {
		pack_u8(b, w->recipient[i].result);
		pack_string(b, w->recipient[i].status);
		pack_string(b, w->recipient[i].text);
		pack_string(b, w->recipient[i].relay);
		pack_string(b, w->recipient[i].tls);
		pack_bool(b, w->recipient[i].dsn);
		pack_bool(b, w->recipient[i].final);
		pack_bool(b, w->recipient[i].loops);
	}
}

bool
word_unpack_sent(struct bytes body, struct arena *life, struct word_sent *w)
{
	struct reader          r = reader_of(body, life);
	struct sent_recipient *to;
	struct tls_result     *t;

	w->unreachable = unpack_bool(&r.fields);
	w->connect_us = unpack_u64(&r.fields);
	w->transfer_us = unpack_u64(&r.fields);
	w->sts = read_sts(&r);
	w->tlss = read_count(&r, EACH_TLS, TLS_RESULTS_MOST);
	t = arena_take_array(life, w->tlss, sizeof *t);
	for (uint32_t i = 0; i < w->tlss; i++) {
		t[i].policy = read_choice(&r, TLS_POLICY_STS);
		t[i].domain = read_string(&r);
		t[i].text = read_string(&r);
		t[i].host = read_string(&r);
		t[i].address = read_string(&r);
		t[i].type = read_string(&r);
		t[i].reason = read_string(&r);
		t[i].local = read_string(&r);
		t[i].helo = read_string(&r);
	}
	w->tls = t;
	w->recipients = read_count(&r, EACH_SENT, ENVELOPE_RECIPIENTS_MOST);
	to = arena_take_array(life, w->recipients, sizeof *to);
	for (uint32_t i = 0; i < w->recipients; i++) {
		to[i].result = read_choice(&r, SENT_REFUSED);
		to[i].status = read_string(&r);
		to[i].text = read_string(&r);
		to[i].relay = read_string(&r);
		to[i].tls = read_string(&r);
		to[i].dsn = unpack_bool(&r.fields);
		to[i].final = unpack_bool(&r.fields);
		to[i].loops = unpack_bool(&r.fields);
	}
	w->recipient = to;
	return reader_done(&r);
}

void
word_pack_pipe(struct buffer *b, const struct word_pipe *w)
{
	pack_u64(b, w->letter);
	pack_u32(b, w->envelope_segment);
	pack_u64(b, w->envelope_at);
	pack_string(b, w->transport);
	pack_string(b, w->nexthop);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->passed);
	pack_u32(b, w->recipients);
	for (uint32_t i = 0; i < w->recipients; i++) {
		pack_bytes(b, w->recipient[i].address);
		pack_bytes(b, w->recipient[i].original);
	}
}

bool
word_unpack_pipe(struct bytes body, struct arena *life, struct word_pipe *w)
{
	struct reader   r = reader_of(body, life);
	struct pipe_to *to;

	w->letter = unpack_u64(&r.fields);
	w->envelope_segment = unpack_u32(&r.fields);
	w->envelope_at = unpack_u64(&r.fields);
	w->transport = read_string(&r);
	w->nexthop = read_string(&r);
	w->sender = unpack_bytes(&r.fields);
	w->passed = unpack_bytes(&r.fields);
	w->recipients = read_count(&r, EACH_PIPE, ENVELOPE_RECIPIENTS_MOST);
	to = arena_take_array(life, w->recipients, sizeof *to);
	for (uint32_t i = 0; i < w->recipients; i++) {
		to[i].address = unpack_bytes(&r.fields);
		to[i].original = unpack_bytes(&r.fields);
	}
	w->recipient = to;
	return reader_done(&r);
}
