#include "role/certifier.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef MANSIO_ACME
#include <curl/curl.h>
#endif

#include "base/clock.h"
#include "base/file.h"
#include "base/journal.h"
#include "role/mishaps.h"

enum {
	PATH_ROOM = 4096,
	FILE_MOST = 1 << 20,
	LOOK_MS = 3600000,
	AGAIN_S = 600,
	AGAIN_MOST_S = 43200,
	REST_MOST_S = 7 * 86400,
	ORDER_MS = 900000,
	RELOAD_S = 60,
	URGENT_S = 7 * 86400,
	ALERT_S = 86400
};

struct certifier {
	struct certifier_settings rows;
	struct shown              shown;
	struct acme_doors         doors;
	struct timer             *timer;
	struct errand_of_order   *order;       /* the one under way, or NULL */
	int64_t                   next, tried; /* wall clock: not before, and when it was last */
	int64_t                   until;       /* of what is in force; 0: nothing is */
	int64_t                   alerted; /* when the postmaster was last told that it is urgent */
	unsigned                  failures;
	uint64_t                  orders;
	bool                      stopping;
};

static struct certifier *
certifier_of(struct house *h)
{
	return h->mine;
}

/* ---- files ---- */

static bool
read_file(const char *path, struct buffer *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), why;

	if (fd < 0)
		return false;
	why = file_read(fd, FILE_MOST, out);
	(void)close(fd);
	return why == 0;
}

static bool
sync_directory(const char *path)
{
	int  fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* Beside, safe on disk, then in its place. */
static bool
write_file(struct house *h, const char *name, struct bytes text)
{
	const char *directory = house_path(h, "certificates");
	char        path[PATH_ROOM], draft[PATH_ROOM];
	int         fd;
	bool        good;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	(void)snprintf(draft, sizeof draft, "%s/draft", directory);
	(void)unlink(draft);
	if ((fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		return false;
	good = write(fd, text.at, text.len) == (ssize_t)text.len && fsync(fd) == 0;
	good = close(fd) == 0 && good && rename(draft, path) == 0 && sync_directory(directory);
	if (!good)
		(void)unlink(draft);
	return good;
}

static struct jose_key *
account(struct house *h)
{
	char             path[PATH_ROOM];
	struct buffer    pem = { 0 };
	struct jose_key *a;

	(void)snprintf(path, sizeof path, "%s/account.key", house_path(h, "certificates"));
	a = read_file(path, &pem) ? jose_read(buffer_bytes(&pem)) : NULL;
	if (a == NULL && access(path, F_OK) < 0 && (a = jose_make()) != NULL) {
		buffer_reset(&pem);
		if (!jose_write(a, &pem) || !write_file(h, "account.key", buffer_bytes(&pem)))
			jose_close(&a);
	}
	if (a == NULL)
		fault("%s: no key of an account is to be had: %s", path, strerror(errno));
	if (pem.len > 0)
		explicit_bzero(pem.at, pem.len);
	buffer_free(&pem);
	return a;
}

/* ---- whether a new one is due ---- */

/* The head of a file: what was asked for, and where. */
static void
add_head(struct buffer *out, const char *server, const char *const *name, size_t count)
{
	buffer_printf(out, "ACME server: %s\nNames:", server);
	for (size_t i = 0; i < count; i++)
		buffer_printf(out, " %s", name[i]);
	buffer_add_char(out, '\n');
}

/* When the certificate of this text is to be made anew; 0: at once.  An authority may add names of its own. */
static int64_t
due_of(const struct certifier_settings *r, struct bytes text, int64_t *until)
{
	struct certificate_facts f;
	struct buffer            head = { 0 };
	int64_t                  before = r->renew_ms / 1000, third;
	bool                     same;

	add_head(&head, certifier_server(r), r->names.item, r->names.count);
	same = bytes_starts(text, buffer_bytes(&head));
	buffer_free(&head);
	*until = 0;
	if (!certificate_look(text, r->names.item, r->names.count, &f) || !request_fits(text, text))
		return 0;
	*until = f.until;
	third = (f.until - f.from) / 3;
	if (!same || f.among != r->names.count)
		return 0;
	return f.until - (before < third ? before : third);
}

static int64_t
due(struct house *h)
{
	struct certifier *c = certifier_of(h);
	char              path[PATH_ROOM];
	struct buffer     text = { 0 };
	int64_t           when = 0;

	c->until = 0;
	(void)snprintf(path, sizeof path, "%s/%s.pem", house_path(h, "certificates"),
	               c->rows.names.item[0]);
	if (read_file(path, &text))
		when = due_of(&c->rows, buffer_bytes(&text), &c->until);
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
	return when;
}

/* ---- an order ---- */

static void look(void *ctx);

static void
day_of(int64_t when, char out[static 32])
{
	time_t    t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, 32, "%" PRId64, when);
}

/* The longer it does not go, the less often it is tried; the server may want more. */
static void
put_off(struct certifier *c, int64_t retry_s)
{
	int64_t wait = AGAIN_S;

	for (unsigned i = 0; i < c->failures && wait < AGAIN_MOST_S; i++)
		wait *= 2;
	wait = wait > AGAIN_MOST_S ? AGAIN_MOST_S : wait;
	wait = retry_s > wait ? retry_s : wait;
	c->next = clock_wall() + (wait > REST_MOST_S ? REST_MOST_S : wait);
	c->failures++;
}

/* Clients will turn away: the postmaster is told once a day, in words that log and letter share. */
static void
alert(struct house *h, const struct errand_of_order *e, const char *until, const char *next)
{
	struct certifier *c = certifier_of(h);
	struct arena     *a = arena_open(NULL);

	if (c->alerted == 0 || clock_wall() - c->alerted >= ALERT_S) {
		const char *name = e->wish.name[0];
		const char *subject =
			c->until == 0
				? arena_printf(a, "no certificate of %s", name)
				: arena_printf(a, "the certificate of %s ends %s", name, until);

		c->alerted = clock_wall();
		mishap_alert(
			h, subject,
			arena_printf(a,
		                     "A certificate of %s was asked for at %s, and did not come:\n"
		                     "%s\n"
		                     "Next try: %s; mansio reload tries at once.\n"
		                     "When there is none that is valid, clients refuse to log in.",
		                     name, e->server, e->result.why, next));
	}
	arena_close(&a);
}

static void
tell_failure(struct house *h, const struct errand_of_order *e)
{
	const struct certifier *c = certifier_of(h);
	char                    until[32], next[32];

	day_of(c->until, until);
	day_of(c->next, next);
	if (c->until - clock_wall() < URGENT_S)
		alert(h, e, until, next);
	if (c->until == 0)
		fault("no certificate of %s by %s: %s; next try %s", e->wish.name[0], e->server,
		      e->result.why, next);
	else if (c->until - clock_wall() < URGENT_S)
		fault("the certificate of %s ends %s and no new one comes from %s: %s; next try %s",
		      e->wish.name[0], until, e->server, e->result.why, next);
	else
		warn_("no new certificate of %s by %s: %s; the old one is good until %s; next try %s",
		      e->wish.name[0], e->server, e->result.why, until, next);
}

static bool
keep(struct house *h, struct errand_of_order *e)
{
	struct buffer text = { 0 };
	bool          good;

	add_head(&text, e->server, e->wish.name, e->wish.names);
	buffer_add(&text, buffer_bytes(&e->result.key));
	buffer_add(&text, buffer_bytes(&e->result.chain));
	good = write_file(h, e->file, buffer_bytes(&text));
	if (!good)
		(void)snprintf(e->result.why, sizeof e->result.why, "certificates/%s: %s", e->file,
		               strerror(errno));
	explicit_bzero(text.at, text.len);
	buffer_free(&text);
	return good;
}

static void
order_forget(struct errand_of_order *e)
{
	struct arena *life = e->life;

	if (e->result.key.len > 0)
		explicit_bzero(e->result.key.at, e->result.key.len);
	if (e->secret.len > 0)
		explicit_bzero(e->secret.at, e->secret.len);
	buffer_free(&e->secret);
	buffer_free(&e->result.key);
	buffer_free(&e->result.chain);
	jose_close(&e->account);
	arena_close(&life);
}

static void
order_ended(void *ctx)
{
	struct errand_of_order *e = ctx;
	struct house           *h = e->house;
	struct certifier       *c = certifier_of(h);
	char                    until[32];

	c->order = NULL;
	if (e->good)
		e->good = keep(h, e);
	if (e->good) {
		c->orders++;
		c->alerted = 0;
		c->next = 0;
		/* One that is due as it comes is no reason to ask for the next at once. */
		if (due(h) > clock_wall())
			c->failures = 0;
		else
			put_off(c, 0);
		day_of(c->until, until);
		note("a new certificate of %s by %s, good until %s", e->wish.name[0], e->server,
		     until);
	} else if (!c->stopping) {
		put_off(c, e->result.retry_s);
		tell_failure(h, e);
	}
	order_forget(e);
	if (c->stopping)
		house_leave(h);
	else
		look(h);
}

static const char *const *
copy_list(struct arena *a, const struct setting_list *l)
{
	const char **copy = arena_take_array(a, l->count + 1, sizeof *copy);

	for (size_t i = 0; i < l->count; i++)
		copy[i] = arena_copy(a, bytes_of(l->item[i]));
	return copy;
}

/* All it needs is its own: settings may change meanwhile. */
static void
order_begin(struct house *h, struct jose_key *key)
{
	struct certifier       *c = certifier_of(h);
	struct arena           *a = arena_open(NULL);
	struct errand_of_order *e = arena_take(a, sizeof *e);
	const char             *authorities = house_resource_text(h, "acme-authorities");
	const char             *binding = house_resource_text(h, "acme-binding");

	e->house = h;
	e->life = a;
	e->account = key;
	e->shown = &c->shown;
	e->authorities = authorities == NULL ? NULL : arena_copy(a, bytes_of(authorities));
	e->server = arena_copy(a, bytes_of(certifier_server(&c->rows)));
	e->file = arena_printf(a, "%s.pem", c->rows.names.item[0]);
	e->until_ms = clock_patient_ms() + ORDER_MS;
	e->wish = (struct order_wish){
		.directory = e->server,
		.account = key,
		.name = copy_list(a, &c->rows.names),
		.names = c->rows.names.count,
		.contact = copy_list(a, &c->rows.contact),
		.contacts = c->rows.contact.count,
		.challenge = c->rows.challenge == CHALLENGE_TLS ? "tls-alpn-01" : "http-01",
		.kind = (enum request_kind)c->rows.kind,
	};
	if (*c->rows.account_id != '\0' && binding != NULL &&
	    jose_secret(bytes_of(binding), &e->secret))
		e->wish.binding =
			(struct jose_binding){ arena_copy(a, bytes_of(c->rows.account_id)),
			                       buffer_bytes(&e->secret) };
	c->order = e;
	c->tried = clock_wall();
	loop_job(h->loop, order_work, order_ended, e);
}

static void
look(void *ctx)
{
	struct house     *h = ctx;
	struct certifier *c = certifier_of(h);
	int64_t           when, now = clock_wall(), wait;
	struct jose_key  *key;

	if (c->order != NULL || c->stopping || c->rows.names.count == 0)
		return;
	when = due(h);
	when = when > c->next ? when : c->next;
	if (when <= now && (key = account(h)) != NULL) {
		order_begin(h, key);
		return;
	}
	wait = when <= now ? LOOK_MS : (when - now) * 1000;
	timer_set(c->timer, wait < LOOK_MS ? wait : LOOK_MS);
}

/* ---- the day ---- */

static bool
certifier_start(struct house *h)
{
	struct certifier *c = memory_take(sizeof *c);

	h->mine = c;
	(void)pthread_mutex_init(&c->shown.lock, NULL);
	c->doors = (struct acme_doors){ .house = h, .shown = &c->shown };
	c->timer = timer_open(h->loop, look, h);
#ifdef MANSIO_ACME
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return false;
#endif
	return house_settings(h, &certifier_setting_table, NULL, &c->rows);
}

static void
certifier_work(struct house *h)
{
	acme_doors_set(&certifier_of(h)->doors);
	look(h);
}

static bool
certifier_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
               struct bytes body, int fd)
{
	(void)from, (void)index, (void)ticket;
	if (fd < 0)
		return word == WORD_VISIT; /* it was lost on the way */
	if (word == WORD_VISIT && !certifier_of(h)->stopping)
		acme_doors_bring(&certifier_of(h)->doors, fd, body);
	else
		(void)close(fd);
	return word == WORD_VISIT;
}

/* Who changed something wants to see it tried, and not more often than the server bears. */
static void
certifier_reload(struct house *h)
{
	struct certifier *c = certifier_of(h);

	(void)house_settings(h, &certifier_setting_table, NULL, &c->rows);
	acme_doors_set(&c->doors);
	c->failures = 0;
	if (c->next > 0)
		c->next = c->tried + RELOAD_S;
	look(h);
}

static void
certifier_stop(struct house *h)
{
	struct certifier *c = certifier_of(h);

	c->stopping = true;
	timer_close(&c->timer);
	acme_doors_close(&c->doors);
	if (c->order != NULL)
		atomic_store(&c->order->leaving, true);
	else
		house_leave(h);
}

static void
certifier_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct certifier *c = certifier_of(h);
	char              until[32] = "-", next[32] = "-";

	if (c->until > 0)
		day_of(c->until, until);
	if (c->next > 0)
		day_of(c->next, next);
	*connections = c->doors.busy;
	buffer_printf(text, "ordering=%d orders=%" PRIu64 " failures=%u until=%s next=%s",
	              c->order != NULL, c->orders, c->failures, until, next);
}

const struct role_card certifier_card = {
	.name = "certifier",
	.start = certifier_start,
	.work = certifier_work,
	.hear = certifier_hear,
	.reload = certifier_reload,
	.stop = certifier_stop,
	.status = certifier_status,
};
