/* certifier-order -- what an order needs of the world: requests by libcurl, answers that are shown, time (certifier.h) */
#include "role/certifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"

#ifdef MANSIO_ACME
#include <curl/curl.h>

enum { CONNECT_S = 30, REQUEST_S = 90, ANSWER_MOST = 256 << 10, STEP_MS = 100 };

static bool
is_over(struct errand_of_order *e)
{
	return atomic_load(&e->leaving) || clock_patient_ms() > e->until_ms;
}

static int
watch_time(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	return is_over(ctx) ? 1 : 0;
}

static size_t
take_body(char *at, size_t size, size_t count, void *ctx)
{
	struct buffer *b = ctx;

	if (b->len + size * count > ANSWER_MOST)
		return 0;
	buffer_add(b, (struct bytes){ at, size * count });
	return size * count;
}

static bool
take_field(struct bytes line, const char *name, char *out, size_t room)
{
	size_t n = strlen(name);

	return bytes_starts_nocase(line, (struct bytes){ name, n }) &&
	       bytes_string(bytes_trim(bytes_cut(line, n, line.len)), out, room);
}

static size_t
take_header(char *at, size_t size, size_t count, void *ctx)
{
	struct order_answer *a = ctx;
	struct bytes         line = { at, size * count };
	char                 number[32];
	uint64_t             n;

	(void)take_field(line, "Replay-Nonce:", a->nonce, sizeof a->nonce);
	(void)take_field(line, "Location:", a->location, sizeof a->location);
	if (take_field(line, "Retry-After:", number, sizeof number) &&
	    bytes_number(bytes_of(number), &n) && n < INT32_MAX)
		a->retry_s = (int64_t)n;
	return size * count;
}

static void
set_options(CURL *c, struct errand_of_order *e, const char *url, struct order_answer *a, char *why)
{
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_USERAGENT, "Mansio");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)REQUEST_S);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &a->body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch_time);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, e);
	if (e->authorities != NULL) {
		/* It is copied; the type of its field has no const. */
		struct curl_blob blob = { (void *)(uintptr_t)e->authorities, strlen(e->authorities),
			                  CURL_BLOB_COPY };

		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob);
	}
}

static bool
fetch(void *ctx, const char *method, const char *url, const struct buffer *body,
      struct order_answer *a)
{
	struct errand_of_order *e = ctx;
	CURL                   *c = curl_easy_init();
	char                    why[CURL_ERROR_SIZE] = "";
	struct curl_slist      *fields =
		curl_slist_append(NULL, "Content-Type: application/jose+json"); /* rfc8555:6.2 */
	CURLcode did = CURLE_OUT_OF_MEMORY;

	if (c != NULL && fields != NULL) {
		set_options(c, e, url, a, why);
		if (strcmp(method, "HEAD") == 0)
			curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
		if (body != NULL) {
			curl_easy_setopt(c, CURLOPT_HTTPHEADER, fields);
			curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body->len);
			curl_easy_setopt(c, CURLOPT_POSTFIELDS, body->at);
		}
		did = curl_easy_perform(c);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->status);
	}
	(void)snprintf(a->why, sizeof a->why, "%s", why[0] != '\0' ? why : curl_easy_strerror(did));
	curl_slist_free_all(fields);
	curl_easy_cleanup(c);
	return did == CURLE_OK;
}

static bool
show(void *ctx, const struct order_challenge *c)
{
	return shown_add(((struct errand_of_order *)ctx)->shown, c);
}

static void
forget(void *ctx)
{
	shown_forget(((struct errand_of_order *)ctx)->shown);
}

static bool
pause_for(void *ctx, int64_t ms)
{
	struct timespec step = { 0, STEP_MS * 1000000L };

	for (int64_t until = clock_patient_ms() + ms; clock_patient_ms() < until;) {
		if (is_over(ctx))
			return false;
		(void)nanosleep(&step, NULL);
	}
	return true;
}

void
order_work(void *ctx)
{
	static const struct order_hooks hooks = { fetch, show, forget, pause_for };
	struct errand_of_order         *e = ctx;

	e->good = order_run(&e->wish, &hooks, e, &e->result);
	shown_forget(e->shown);
}

#else

void
order_work(void *ctx)
{
	struct errand_of_order *e = ctx;

	e->good = order_run(&e->wish, NULL, e, &e->result);
}

#endif
