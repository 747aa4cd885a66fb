#include "acme/order.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#ifdef MANSIO_ACME
#include <jansson.h>

enum {
	POLLS_MOST = 60,
	POLL_MS = 1000,
	POLL_MOST_S = 30,
	NONCES_MOST = 8,
	TOKEN_MOST = 256,
	CREATED = 201,
	GOOD_LEAST = 200,
	GOOD_MOST = 299
};

struct order {
	const struct order_wish  *wish;
	const struct order_hooks *hooks;
	void                     *ctx;
	struct order_result      *out;
	struct order_answer       answer; /* the last one              */
	json_t                   *said;   /* its body                  */
	char                      nonce[256];
	char new_nonce[ORDER_URL_MOST], new_account[ORDER_URL_MOST], new_order[ORDER_URL_MOST];
	char kid[ORDER_URL_MOST], url[ORDER_URL_MOST], finalize[ORDER_URL_MOST];
	char certificate[ORDER_URL_MOST];
};

static __attribute__((format(printf, 2, 3))) bool
fail(struct order *o, const char *form, ...)
{
	va_list list;

	if (o->out->why[0] == '\0') {
		va_start(list, form);
		(void)vsnprintf(o->out->why, sizeof o->out->why, form, list);
		va_end(list);
	}
	return false;
}

/* ---- what the server says ---- */

static const char *
text_of(const json_t *of, const char *name)
{
	const char *s = json_string_value(json_object_get(of, name));

	return s == NULL ? "" : s;
}

/* A URL it gives is one of its own: it is asked by https, and fits. */
static bool
take_url(struct order *o, const char *what, const char *url, char out[static ORDER_URL_MOST])
{
	if (strncmp(url, "https://", 8) != 0 || strlen(url) >= ORDER_URL_MOST)
		return fail(o, "it gives no URL of %s", what);
	memcpy(out, url, strlen(url) + 1);
	return true;
}

static void
take_answer(struct order *o)
{
	if (o->answer.nonce[0] != '\0')
		memcpy(o->nonce, o->answer.nonce, sizeof o->nonce);
	json_decref(o->said);
	o->said = json_loadb(o->answer.body.at == NULL ? "" : o->answer.body.at, o->answer.body.len,
	                     JSON_REJECT_DUPLICATES, NULL);
	if (o->answer.retry_s > o->out->retry_s && o->answer.status >= 400)
		o->out->retry_s = o->answer.retry_s;
}

static bool
fetch(struct order *o, const char *method, const char *url, const struct buffer *body)
{
	struct order_answer *a = &o->answer;

	buffer_reset(&a->body);
	a->status = 0;
	a->retry_s = 0;
	a->nonce[0] = a->location[0] = a->why[0] = '\0';
	if (!o->hooks->fetch(o->ctx, method, url, body, a))
		return fail(o, "%s: %s", url, a->why);
	take_answer(o);
	return true;
}

/* A problem document (rfc7807, rfc8555:6.7): its own words, and whom they are about. */
static bool
tell_problem(struct order *o, const char *doing, const json_t *problem)
{
	const char *type = text_of(problem, "type"), *colon = strrchr(type, ':');
	const char *detail = text_of(problem, "detail");

	return fail(o, "%s: %s%s%s (%ld)", doing, colon == NULL ? type : colon + 1,
	            *detail != '\0' ? ": " : "", detail, o->answer.status);
}

static bool
is_good(const struct order *o)
{
	return o->answer.status >= GOOD_LEAST && o->answer.status <= GOOD_MOST;
}

static bool
has_bad_nonce(const struct order *o)
{
	return o->answer.status == 400 &&
	       strcmp(text_of(o->said, "type"), "urn:ietf:params:acme:error:badNonce") == 0;
}

/* A nonce is good once; one that was refused comes with another (rfc8555:6.5). */
static bool
post(struct order *o, const char *doing, const char *url, struct bytes payload)
{
	for (int i = 0; i < NONCES_MOST; i++) {
		struct jose_request r = { o->kid[0] == '\0' ? NULL : o->kid, o->nonce, url,
			                  payload };
		struct buffer       body = { 0 };
		bool                good;

		if (o->nonce[0] == '\0' && !fetch(o, "HEAD", o->new_nonce, NULL))
			return false;
		if (o->nonce[0] == '\0')
			return fail(o, "%s: it gives no nonce", doing);
		good = jose_sign(o->wish->account, &r, &body);
		o->nonce[0] = '\0';
		good = good && fetch(o, "POST", url, &body);
		buffer_free(&body);
		if (!good)
			return fail(o, "%s: the request cannot be signed", doing);
		if (!has_bad_nonce(o))
			return is_good(o) || tell_problem(o, doing, o->said);
	}
	return fail(o, "%s: it refuses each nonce", doing);
}

static bool
look(struct order *o, const char *doing, const char *url)
{
	return post(o, doing, url, (struct bytes){ NULL, 0 });
}

/* ---- the way ---- */

static bool
read_directory(struct order *o)
{
	if (!fetch(o, "GET", o->wish->directory, NULL))
		return false;
	if (!is_good(o) || !json_is_object(o->said))
		return fail(o, "%s is no directory of an ACME server (%ld)", o->wish->directory,
		            o->answer.status);
	return take_url(o, "newNonce", text_of(o->said, "newNonce"), o->new_nonce) &&
	       take_url(o, "newAccount", text_of(o->said, "newAccount"), o->new_account) &&
	       take_url(o, "newOrder", text_of(o->said, "newOrder"), o->new_order);
}

static void
add_contacts(const struct order *o, struct buffer *b)
{
	buffer_add_string(b, "\"contact\":[");
	for (size_t i = 0; i < o->wish->contacts; i++) {
		struct buffer url = { 0 };

		buffer_printf(&url, "mailto:%s", o->wish->contact[i]);
		buffer_add_char(&url, '\0');
		buffer_add_string(b, i > 0 ? "," : "");
		jose_string(b, url.at);
		buffer_free(&url);
	}
	buffer_add_char(b, ']');
}

/* Whether the account that was there has other contacts than these. */
static bool
has_others(const struct order *o)
{
	const json_t *there = json_object_get(o->said, "contact");

	if (json_array_size(there) != o->wish->contacts)
		return true;
	for (size_t i = 0; i < o->wish->contacts; i++) {
		const char *one = json_string_value(json_array_get(there, i));

		if (one == NULL || strncasecmp(one, "mailto:", 7) != 0 ||
		    strcmp(one + 7, o->wish->contact[i]) != 0)
			return true;
	}
	return false;
}

static bool
add_binding(struct order *o, struct buffer *b)
{
	buffer_add_string(b, ",\"externalAccountBinding\":");
	return jose_bind(o->wish->account, &o->wish->binding, o->new_account, b) ||
	       fail(o, "the account cannot be bound to tls_acme_account_id");
}

/* The same key asks for the same account (rfc8555:7.3.1). */
static bool
enter_account(struct order *o)
{
	struct buffer b = { 0 };
	bool          good;

	buffer_add_string(&b, "{\"termsOfServiceAgreed\":true,");
	add_contacts(o, &b);
	good = o->wish->binding.kid == NULL || add_binding(o, &b);
	buffer_add_char(&b, '}');
	good = good && post(o, "account", o->new_account, buffer_bytes(&b)) &&
	       take_url(o, "the account", o->answer.location, o->kid);
	if (good && o->answer.status != CREATED && has_others(o)) {
		buffer_reset(&b);
		buffer_add_char(&b, '{');
		add_contacts(o, &b);
		buffer_add_char(&b, '}');
		good = post(o, "account", o->kid, buffer_bytes(&b));
	}
	buffer_free(&b);
	return good;
}

static bool
begin_order(struct order *o)
{
	struct buffer b = { 0 };
	bool          good;

	buffer_add_string(&b, "{\"identifiers\":[");
	for (size_t i = 0; i < o->wish->names; i++) {
		buffer_add_string(&b, i > 0 ? ",{\"type\":\"dns\",\"value\":"
		                            : "{\"type\":\"dns\",\"value\":");
		jose_string(&b, o->wish->name[i]);
		buffer_add_char(&b, '}');
	}
	buffer_add_string(&b, "]}");
	good = post(o, "order", o->new_order, buffer_bytes(&b)) &&
	       take_url(o, "the order", o->answer.location, o->url) &&
	       take_url(o, "finalize", text_of(o->said, "finalize"), o->finalize);
	buffer_free(&b);
	return good;
}

/* Until its status is none of these two; it says how long to wait (rfc8555:7.5.1). */
static bool
poll_until(struct order *o, const char *doing, const char *url, const char *open_a,
           const char *open_b)
{
	for (int i = 0; i < POLLS_MOST; i++) {
		const char *status;
		int64_t     wait;

		if (!look(o, doing, url))
			return false;
		status = text_of(o->said, "status");
		if (strcmp(status, open_a) != 0 && strcmp(status, open_b) != 0)
			return true;
		wait = o->answer.retry_s > POLL_MOST_S ? POLL_MOST_S : o->answer.retry_s;
		if (!o->hooks->wait(o->ctx, wait > 0 ? wait * 1000 : POLL_MS))
			return fail(o, "%s: there was no more time for it", doing);
	}
	return fail(o, "%s: it does not end", doing);
}

/* Letters, digits, - and _ (rfc8555:8.1): it goes into a path. */
static bool
is_token(const char *token)
{
	size_t n =
		strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

	return n > 0 && n < TOKEN_MOST && token[n] == '\0';
}

static const json_t *
challenge_of(const struct order *o)
{
	const json_t *all = json_object_get(o->said, "challenges");

	for (size_t i = 0; i < json_array_size(all); i++)
		if (strcmp(text_of(json_array_get(all, i), "type"), o->wish->challenge) == 0)
			return json_array_get(all, i);
	return NULL;
}

static bool
answer_challenge(struct order *o, const char *name, const json_t *c)
{
	char                   url[ORDER_URL_MOST], token[TOKEN_MOST];
	struct buffer          text = { 0 };
	struct order_challenge shown = { o->wish->challenge, name, token, { NULL, 0 } };
	bool                   good;

	if (!is_token(text_of(c, "token")))
		return fail(o, "%s: it gives no token", name);
	(void)snprintf(token, sizeof token, "%s", text_of(c, "token"));
	if (!take_url(o, "the challenge", text_of(c, "url"), url))
		return false;
	buffer_printf(&text, "%s.", token);
	jose_thumbprint(o->wish->account, &text);
	shown.authorization = buffer_bytes(&text);
	good = o->hooks->show(o->ctx, &shown) || fail(o, "%s: the answer cannot be shown", name);
	buffer_free(&text);
	return good && post(o, name, url, BYTES("{}"));
}

/* Why a challenge failed stands in it. */
static bool
tell_invalid(struct order *o, const char *name)
{
	const json_t *c = challenge_of(o), *why = c == NULL ? NULL : json_object_get(c, "error");

	if (why != NULL)
		return tell_problem(o, name, why);
	return fail(o, "%s: the authorization is %s", name, text_of(o->said, "status"));
}

static bool
authorize(struct order *o, const char *url)
{
	char          name[256];
	const json_t *c;

	if (!look(o, "authorization", url))
		return false;
	(void)snprintf(name, sizeof name, "%s",
	               text_of(json_object_get(o->said, "identifier"), "value"));
	if (strcmp(text_of(o->said, "status"), "valid") == 0)
		return true;
	if ((c = challenge_of(o)) == NULL)
		return fail(o, "%s: it does not offer %s", name, o->wish->challenge);
	if (!answer_challenge(o, name, c) || !poll_until(o, name, url, "pending", "processing"))
		return false;
	return strcmp(text_of(o->said, "status"), "valid") == 0 || tell_invalid(o, name);
}

static bool
authorize_all(struct order *o)
{
	json_t *all = json_deep_copy(json_object_get(o->said, "authorizations"));
	size_t  n = json_array_size(all);
	bool    good = n > 0 && n <= ORDER_NAMES_MOST;

	if (!good)
		(void)fail(o, "it gives no authorizations");
	for (size_t i = 0; good && i < n; i++) {
		char        url[ORDER_URL_MOST];
		const char *one = json_string_value(json_array_get(all, i));

		good = take_url(o, "an authorization", one == NULL ? "" : one, url) &&
		       authorize(o, url);
	}
	json_decref(all);
	o->hooks->forget(o->ctx);
	return good;
}

static bool
finish(struct order *o)
{
	struct buffer der = { 0 }, b = { 0 };
	bool good = request_make(o->wish->kind, o->wish->name, o->wish->names, &o->out->key, &der);

	if (!good)
		(void)fail(o, "no key and no request can be made");
	buffer_add_string(&b, "{\"csr\":\"");
	jose_base64url(&b, buffer_bytes(&der));
	buffer_add_string(&b, "\"}");
	good = good && poll_until(o, "order", o->url, "pending", "pending") &&
	       post(o, "request", o->finalize, buffer_bytes(&b)) &&
	       poll_until(o, "order", o->url, "processing", "ready");
	buffer_free(&der);
	buffer_free(&b);
	if (good && strcmp(text_of(o->said, "status"), "valid") != 0)
		good = json_object_get(o->said, "error") != NULL
		               ? tell_problem(o, "order", json_object_get(o->said, "error"))
		               : fail(o, "the order is %s", text_of(o->said, "status"));
	return good &&
	       take_url(o, "the certificate", text_of(o->said, "certificate"), o->certificate);
}

static bool
take_chain(struct order *o)
{
	struct certificate_facts f;

	if (!look(o, "certificate", o->certificate))
		return false;
	buffer_add(&o->out->chain, buffer_bytes(&o->answer.body));
	if (!request_fits(buffer_bytes(&o->out->chain), buffer_bytes(&o->out->key)) ||
	    !certificate_look(buffer_bytes(&o->out->chain), o->wish->name, o->wish->names, &f))
		return fail(o, "what it gives is no certificate for our key");
	if (f.among != o->wish->names)
		return fail(o, "what it gives is a certificate of other names than were ordered");
	return f.until > clock_wall() ||
	       fail(o, "what it gives is over already; is the clock of this machine right?");
}

bool
order_run(const struct order_wish *w, const struct order_hooks *hooks, void *ctx,
          struct order_result *out)
{
	struct order *o = memory_take(sizeof *o);
	bool          good;

	o->wish = w;
	o->hooks = hooks;
	o->ctx = ctx;
	o->out = out;
	good = read_directory(o) && enter_account(o) && begin_order(o) && authorize_all(o) &&
	       finish(o) && take_chain(o);
	json_decref(o->said);
	buffer_free(&o->answer.body);
	memory_free(o);
	return good;
}

#else

bool
order_run(const struct order_wish *w, const struct order_hooks *hooks, void *ctx,
          struct order_result *out)
{
	(void)w, (void)hooks, (void)ctx;
	(void)snprintf(out->why, sizeof out->why,
	               "this program was built without ACME (libjansson, libcurl)");
	return false;
}

#endif
