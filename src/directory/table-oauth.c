/*
 * table-oauth -- oauth:/etc/mansio/issuer.cf: a token is a key, and whose it is the value
 *
 * Signed tokens are checked with the keys of the issuer, which are fetched when they are wanted, kept for an
 * hour, and fetched anew when a token names one that is not known, at most five times a minute: an issuer changes them when it
 * likes.  What cannot be fetched is no reason to refuse.  With an introspection_url the issuer is asked about each token instead (rfc7662).
 */

#include "directory/remote.h"
#include "directory/table_inner.h"

#if defined MANSIO_OAUTH && defined MANSIO_CURL
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "sasl/token.h"

enum {
	KEYS_LIFE_MS = 3600000,
	KEYS_AGAIN_MS = 60000,
	KEYS_AGAIN_MOST = 5,
	ANSWER_MOST = TOKEN_KEYS_TEXT_MOST
};

struct oauth_settings {
	const char         *issuer, *jwks, *introspection, *id, *secret, *claim, *authorities;
	struct setting_list audiences, scopes;
	int64_t             timeout_ms;
};
struct oauth {
	struct settings      *settings;
	struct oauth_settings set;
	pthread_mutex_t       lock; /* one fetches, the others wait for what it gets */
	struct token_keys    *keys;
	int64_t               fetched_ms, tried_ms; /* 0 never */
	int64_t               again_ms; /* since when they are counted that a token asked for */
	unsigned              again;
};

#define AT(f) offsetof(struct oauth_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "issuer", SETTING_TEXT, AT(issuer), "", "Who must have issued a token; its configuration is below this address.", NULL, 0, 0, "0.2" },
	{ "jwks_url", SETTING_TEXT, AT(jwks), "", "Where its keys are; found in the issuer's configuration if empty.", NULL, 0, 0, "0.2" },
	{ "introspection_url", SETTING_TEXT, AT(introspection), "", "Where it tells what a token is worth (rfc7662).", NULL, 0, 0, "0.2" },
	{ "client_id", SETTING_TEXT, AT(id), "", "Who asks there.", NULL, 0, 0, "0.2" },
	{ "client_secret", SETTING_TEXT, AT(secret), "", "And its password.", NULL, 0, 0, "0.2" },
	{ "audience", SETTING_LIST, AT(audiences), "", "A token must be for one of these, as its aud says; if any, for whomever it is.", NULL, 0, 0, "0.2" },
	{ "scope", SETTING_LIST, AT(scopes), "", "What a token's scope must hold.", NULL, 0, 0, "0.2" },
	{ "user_claim", SETTING_WORD, AT(claim), "email", "The member that says whose it is.", NULL, 0, 0, "0.2" },
	{ "tls_ca_cert_file", SETTING_WORD, AT(authorities), "", "The authorities its certificate is trusted from; the system's if empty.", NULL, 0, 0, "0.2" },
	{ "timeout", SETTING_TIME, AT(timeout_ms), "5s", "How long a question may take.", NULL, 100, 60000, "0.2" },
};
/* clang-format on */
#undef AT
static const struct setting_table oauth_table = { "An issuer of tokens", rows, COUNT(rows) };

/* ---- HTTPS ---- */

static size_t
gather(char *at, size_t each, size_t count, void *ctx)
{
	struct buffer *out = ctx;

	if (out->len + each * count > ANSWER_MOST)
		return 0;
	buffer_add(out, (struct bytes){ at, each * count });
	return each * count;
}

static void
set_up(CURL *c, const struct oauth *t, const char *url, struct buffer *out)
{
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)t->set.timeout_ms);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, gather);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
	if (*t->set.authorities != '\0')
		curl_easy_setopt(c, CURLOPT_CAINFO, t->set.authorities);
}

/* False: it could not be had; why is in *why. */
static bool
fetch(const struct oauth *t, const char *url, const char *form, struct buffer *out,
      const char **why)
{
	CURL    *c = curl_easy_init();
	CURLcode did = CURLE_OUT_OF_MEMORY;

	if (c != NULL) {
		set_up(c, t, url, out);
		if (form != NULL) {
			curl_easy_setopt(c, CURLOPT_POSTFIELDS, form);
			curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
			curl_easy_setopt(c, CURLOPT_USERNAME, t->set.id);
			curl_easy_setopt(c, CURLOPT_PASSWORD, t->set.secret);
		}
		did = curl_easy_perform(c);
	}
	curl_easy_cleanup(c);
	*why = curl_easy_strerror(did);
	return did == CURLE_OK;
}

/* ---- keys ---- */

/* Where the keys are; "" with *why. */
static const char *
keys_url(const struct oauth *t, struct arena *a, const char **why)
{
	struct buffer answer = { 0 };
	const char   *url = "";
	size_t        n = strlen(t->set.issuer);

	if (*t->set.jwks != '\0')
		return t->set.jwks;
	while (n > 0 && t->set.issuer[n - 1] == '/')
		n--;
	if (fetch(t,
	          arena_printf(a, "%.*s/.well-known/openid-configuration", (int)n, t->set.issuer),
	          NULL, &answer, why)) {
		url = token_configuration(buffer_bytes(&answer), t->set.issuer, a);
		*why = "the issuer's configuration does not say where its keys are";
	}
	buffer_free(&answer);
	return url;
}

/* With the lock: the keys anew.  False: those that were stay, for there are none to be had. */
static bool
keys_fetch(struct oauth *t, struct arena *a, const char **why)
{
	struct buffer      answer = { 0 };
	struct token_keys *keys = NULL;
	const char        *url;

	t->tried_ms = clock_patient_ms();
	url = keys_url(t, a, why);
	if (*url != '\0' && fetch(t, url, NULL, &answer, why)) {
		keys = token_keys_open(buffer_bytes(&answer));
		*why = "there is no key that is known here among the issuer's";
	}
	buffer_free(&answer);
	if (keys == NULL)
		return false;
	token_keys_close(&t->keys);
	t->keys = keys;
	t->fetched_ms = t->tried_ms;
	return true;
}

/* With the lock: a token that has all but a key of ours. */
static enum sasl_outcome
check_again(struct oauth *t, const struct token_rules *rules, struct bytes token, struct arena *a,
            struct bytes *user, const char **why)
{
	int64_t now = clock_patient_ms();
	bool    unknown;

	if (t->again_ms == 0 || now - t->again_ms > KEYS_AGAIN_MS) {
		t->again_ms = now;
		t->again = 0;
	}
	if (t->again >= KEYS_AGAIN_MOST) {
		*why = "the token's key is not known, and the issuer's were fetched often enough in this minute";
		return SASL_LATER;
	}
	t->again++;
	return keys_fetch(t, a, why) ? token_check(t->keys, rules, token, a, user, why, &unknown)
	                             : SASL_LATER;
}

static struct token_rules
rules_of(const struct oauth *t)
{
	return (struct token_rules){ .issuer = t->set.issuer,
		                     .audiences = t->set.audiences,
		                     .scopes = t->set.scopes,
		                     .claim = t->set.claim,
		                     .now = clock_wall() };
}

static enum sasl_outcome
check_signed(struct oauth *t, struct bytes token, struct arena *a, struct bytes *user,
             const char **why)
{
	struct token_rules rules = rules_of(t);
	enum sasl_outcome  o = SASL_LATER;
	bool               unknown = false;
	int64_t            now = clock_patient_ms();

	*why = "the issuer's keys could not be had";
	pthread_mutex_lock(&t->lock);
	if ((t->keys == NULL || now - t->fetched_ms > KEYS_LIFE_MS) &&
	    (t->tried_ms == 0 || now - t->tried_ms > 1000))
		(void)keys_fetch(t, a, why);
	if (t->keys != NULL)
		o = token_check(t->keys, &rules, token, a, user, why, &unknown);
	if (o == SASL_REFUSED && unknown)
		o = check_again(t, &rules, token, a, user, why);
	pthread_mutex_unlock(&t->lock);
	return o;
}

/* ---- introspection ---- */

static enum sasl_outcome
introspect(const struct oauth *t, struct bytes token, struct arena *a, struct bytes *user,
           const char **why)
{
	struct token_rules rules = rules_of(t);
	struct buffer      form = { 0 }, answer = { 0 };
	char              *coded = curl_easy_escape(NULL, token.at, (int)token.len);
	enum sasl_outcome  o = SASL_LATER;

	buffer_printf(&form, "token_type_hint=access_token&token=%s", coded != NULL ? coded : "");
	buffer_add_char(&form, '\0');
	curl_free(coded);
	if (fetch(t, t->set.introspection, form.at, &answer, why))
		o = token_introspected(&rules, buffer_bytes(&answer), a, user, why);
	explicit_bzero(form.at, form.len);
	buffer_free(&form);
	buffer_free(&answer);
	return o;
}

static enum table_outcome
oauth_find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	struct oauth     *t = own;
	const char       *why = "";
	enum sasl_outcome o = SASL_REFUSED;

	*value = (struct bytes){ NULL, 0 };
	if (key.len == 0 || key.len > TOKEN_MOST)
		return TABLE_NONE;
	o = *t->set.introspection != '\0' ? introspect(t, key, life, value, &why)
	                                  : check_signed(t, key, life, value, &why);
	if (o != SASL_PROVED)
		*value = bytes_of(arena_copy(life, bytes_of(why)));
	return o == SASL_PROVED ? TABLE_FOUND : o == SASL_REFUSED ? TABLE_NONE : TABLE_LATER;
}

/* ---- opening ---- */

static void
oauth_close(void *own)
{
	struct oauth *t = own;

	token_keys_close(&t->keys);
	pthread_mutex_destroy(&t->lock);
	curl_global_cleanup();
	settings_close(&t->settings);
	memory_free(t);
}

static const char *
settings_fault(const struct oauth_settings *s)
{
	const char *const url[] = { s->jwks, s->introspection, s->issuer };

	if (*s->introspection == '\0' && *s->issuer == '\0')
		return "issuer or introspection_url is wanted";
	if (s->audiences.count == 0)
		return "audience is wanted: whom tokens must be for, or any for whomever they are";
	for (size_t i = 0; i < COUNT(url); i++)
		if (*url[i] != '\0' && strncmp(url[i], "https://", 8) != 0)
			return "an issuer is reached by https: alone";
	return NULL;
}

static void *
oauth_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
           struct buffer *errors, struct buffer *warnings)
{
	struct oauth *t = memory_take(sizeof *t);
	const char   *wrong;
	(void)grammar;

	t->settings = remote_settings(name, &oauth_table, source, &t->set, errors, warnings);
	if (t->settings == NULL) {
		memory_free(t);
		return NULL;
	}
	/* Before there are threads: it counts who wants it. */
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_mutex_init(&t->lock, NULL);
	if ((wrong = settings_fault(&t->set)) == NULL)
		return t;
	buffer_printf(errors, "%.*s: %s\n", (int)name.len, name.at, wrong);
	oauth_close(t);
	return NULL;
}

static void
reach_url(struct reach *r, const char *url)
{
	CURLU *u = curl_url();
	char  *port = NULL;

	if (*url != '\0' && u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		reach_port(r, strtoull(port, NULL, 10));
	curl_free(port);
	curl_url_cleanup(u);
}

static void
oauth_reach(void *own, struct reach *r)
{
	const struct oauth *t = own;

	reach_url(r, t->set.issuer);
	reach_url(r, t->set.jwks);
	reach_url(r, t->set.introspection);
	reach_path(r, *t->set.authorities != '\0' ? bytes_of(t->set.authorities)
	                                          : BYTES("/etc/ssl/certs"));
}

const struct table_type table_oauth = {
	.name = "oauth",
	.remote = true,
	.file = true,
	.open = oauth_open,
	.find = oauth_find,
	.close = oauth_close,
	.reach = oauth_reach,
};
#else
REMOTE_NOT_BUILT(table_oauth, "oauth", "libjansson or libcurl")
#endif
