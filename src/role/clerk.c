/*
 * clerk -- knows who is who: answers RESOLVE, WHO and AUTH, and the commands
 * domain, account, alias.  The only process that sees a password hash.
 * Logging in is clerk-login.c.
 */
#include "role/clerk-guard.h"
#include "role/keeper.h"
#include "role/settings.h"
#include "role/tables.h"
#include "smtp/receiver/settings.h"
#include <unistd.h>

#define AT(f) offsetof(struct clerk_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "recipient_delimiter", SETTING_WORD, AT(delimiter), "+", "Characters that part user from detail in user+detail@domain.", .since = "0.1" },
	{ "auth_cache_time", SETTING_TIME, AT(cache_ms), "0", "How long a password that PAM or another server found right is believed without asking again; 0: never.", NULL, 0, 3600000, "0.2" },
	{ "auth_userdb", SETTING_BOOL, AT(userdb), "yes", "Mail comes for users whom a back end of auth_backends knows, in domains of ours; no: for those who have logged in, whatever became of them.", NULL, 0, 0, "0.2" },
	{ "auth_username_format", SETTING_WORD, AT(username_format), "%Lu", "What a user name becomes before anybody is asked for it: %u as it is, %n before the @, %d the domain; %Lu in lower case.", .choices = "variables", .since = "0.2" },
	{ "auth_username_chars", SETTING_WORD, AT(username_chars), "", "The only characters user names may have; empty: any.", .since = "0.2" },
	{ "auth_username_translation", SETTING_WORD, AT(username_translation), "", "Pairs of characters: where a user name has the first, the second is meant, as in #@/@.", .since = "0.2" },
	{ "auth_default_realm", SETTING_WORD, AT(default_realm), "$smtpd_sasl_local_domain", "The domain of user names that have none, before anybody is asked for them.", .since = "0.2" },
	{ "smtpd_sasl_local_domain", SETTING_WORD, AT(sasl_local_domain), "", "Postfix's name for it.", .since = "0.5" },
	{ "auth_master_user_separator", SETTING_WORD, AT(master_separator), "", "The character between a user's name and that of a master user, who logs in as the user with a password of his own (auth_master_passwd_file): with *, jack@example.com*admin.  Empty: nobody does.", .since = "0.2" },
	{ "auth_failure_delay", SETTING_TIME, AT(delay_ms), "2s", "Wait before a failed login is answered; doubled with each failure in a row from one network, up to 15 seconds.", .since = "0.1" },
	{ "auth_failure_network_limit", SETTING_NUMBER, AT(per_network), "30", "Failed logins a minute from one network before its attempts are put off; 0 means no limit.", .since = "0.1" },
	{ "auth_failure_account_limit", SETTING_NUMBER, AT(per_account), "300", "Failed logins a minute for one account before attempts from networks unknown to it are put off; 0 means no limit.", .since = "0.1" },
	{ "smtpd_sender_login_maps", SETTING_TABLES, AT(sender_logins), "", "Tables of addresses and the login names that may send as them, before what the directory says: an account's own address, aliases that lead to it, and groups it is a member of.", .since = "0.2" },
	{ "auth_ban_failures", SETTING_NUMBER, AT(ban_failures), "10", "Failed logins from one network (a /64 for IPv6) within auth_ban_find_time after which its connections are refused; 0: nobody is banned. A network from which somebody has logged in within 30 days never is.", .since = "0.2" },
	{ "auth_ban_find_time", SETTING_TIME, AT(ban_within_ms), "10m", "The time in which auth_ban_failures are counted.", .since = "0.2" },
	{ "auth_ban_time", SETTING_TIME, AT(ban_ms), "10m", "How long the first ban of a network is; each further one is twice as long.", .since = "0.2" },
	{ "auth_ban_time_max", SETTING_TIME, AT(ban_longest_ms), "7d", "The longest a ban grows to; a network quiet for as long begins anew.", .since = "0.2" },
	{ "auth_ban_exceptions", SETTING_MATCHES, AT(ban_exceptions), "$mynetworks 127.0.0.0/8 [::1]", "Networks that are never banned.", .since = "0.2" },
};
/* clang-format on */
#undef AT
const struct setting_table clerk_setting_table = { "Who is who", rows, COUNT(rows) };

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* Somebody who could log in under this address, for a URL that says so. */
static bool
hear_who(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct clerk     *c = clerk_of(h);
	struct link      *l = house_link(h, from, index);
	struct arena     *scratch = arena_open(NULL);
	struct credential got = { 0 };
	struct buffer    *b;

	if (directory_credential(c->directory, body, c->origin, scratch, &got) != DIRECTORY_OK ||
	    !got.enabled)
		got = (struct credential){ 0 };
	if (l != NULL) {
		b = link_begin(l, WORD_WHO_IS, ticket);
		pack_u64(b, got.account);
		pack_string(b, got.address);
		link_end(l);
	}
	arena_close(&scratch);
	return true;
}

/* ---- the card --------------------------------------------------------------------------- */

/* Everybody who keeps answers of ours forgets them. */
void
clerk_changed(struct house *h)
{
	static const enum role hearers[] = { RECEIVER, LOGIN, QUEUE, KEEPER };
	size_t                 place = 0;
	uint32_t               user;

	clerk_of(h)->changes++;
	clerk_mute_look(h);
	while (house_user_keeper_next(h, &place, &user))
		link_say(house_link(h, KEEPER, user), WORD_DIRECTORY_NEW, 0,
		         (struct bytes){ NULL, 0 }, -1);
	for (size_t r = 0; r < COUNT(hearers); r++)
		for (uint32_t i = 0; i < house_peers(h, hearers[r]); i++) {
			struct link *l = house_link(h, hearers[r], i);
			if (l != NULL)
				link_say(l, WORD_DIRECTORY_NEW, 0, (struct bytes){ NULL, 0 }, -1);
		}
}

uint64_t
clerk_room(const struct clerk *c, uint64_t account)
{
	uintptr_t room = (uintptr_t)map_get(c->full, map_number(&account));

	return room == 0 ? UINT64_MAX : room - 1;
}

/* A keeper says how much room an account has.  Receivers ask anew, unless it is one they ask of each time. */
static bool
hear_full(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct clerk *c = clerk_of(h);
	struct unpack u = unpack_of(body);
	uint64_t      id = unpack_u64(&u);
	uint64_t      room = unpack_u64(&u), was = clerk_room(c, id);
	(void)from;
	(void)ticket;

	if (!unpack_done(&u) || id == 0 || house_keeper_of(h, id) != index)
		return false;
	if (room != UINT64_MAX)
		(void)map_put(c->full, map_number(&id), (void *)(uintptr_t)(room + 1));
	else
		(void)map_drop(c->full, map_number(&id));
	if ((room == UINT64_MAX) != (was == UINT64_MAX))
		clerk_changed(h);
	return true;
}

static void
settings_new(struct house *h)
{
	struct clerk            *c = clerk_of(h);
	struct common_settings   common;
	struct keeper_settings   keeper;
	struct proxymap_settings proxymap;
	struct receiver_settings receiver;

	if (!house_settings(h, &clerk_setting_table, NULL, &c->rows) ||
	    !house_settings(h, &proxymap_setting_table, NULL, &proxymap) ||
	    !house_settings(h, &keeper_setting_table, NULL, &keeper) ||
	    !house_settings(h, &receiver_setting_table, NULL, &receiver) ||
	    !house_settings(h, &common_setting_table, NULL, &common))
		return; /* the postmaster checks before it tells; said there */
	c->full_later = keeper.quota_tempfail;
	c->storage = keeper.quota_storage;
	c->grace = keeper.quota_grace;
	c->largest = receiver.message_size;
	clerk_totals_settings(c, &keeper.quota_warning);
	c->limits =
		(struct guard_limits){ c->rows.delay_ms, c->rows.per_network, c->rows.per_account };
	(void)bytes_string(bytes_of(common.myorigin), c->origin, sizeof c->origin);
	clerk_rules(h, &common);
	clerk_srs_settings(h);
	if (c->enquiries == NULL)
		c->enquiries = enquiries_open(h, &proxymap);
	enquiries_forget(c->enquiries, &proxymap);
	if (c->tables != NULL)
		tables_reload(c->tables);
	clerk_guard_settings(c);
	chain_settings(h, &common);
	clerk_owners_again(h);
	clerk_changed(h);
	clerk_sasl_settings(c, h);
	clerk_system_look(h);
}

/* Lists in files are part of the rules. */
static void
tables_new(struct house *h)
{
	settings_new(h);
}

/* What was answered out of the old ones is void. */
static void
tables_changed(void *ctx)
{
	clerk_changed(ctx);
}

/* The directory is read into memory between what others want of us: turn by turn. */
static void
image_turn(void *ctx)
{
	directory_image_turn(clerk_of(ctx)->directory);
}

static void
image_rest(void *ctx)
{
	struct house *h = ctx;
	struct clerk *c = clerk_of(h);

	if (directory_image_wants(c->directory))
		errand_set(h->loop, &c->image_turn);
}

static bool
clerk_start(struct house *h)
{
	struct clerk *c = memory_take(sizeof *c);
	struct buffer errors = { 0 };
	long          processors = sysconf(_SC_NPROCESSORS_ONLN);

	h->mine = c;
	c->exchanges = map_open();
	c->questions = map_open();
	c->passed = map_open();
	c->full = map_open();
	c->guard = guard_open();
	for (size_t i = 0; i < COUNT(c->line); i++)
		c->line[i].last = &c->line[i].first;
	c->checkers = processors > 0 ? (unsigned)processors : 1;
	c->directory = directory_open(house_path(h, "directory/directory.db"), &errors);
	if (c->directory == NULL)
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	if (c->directory == NULL || !clerk_totals_open(h))
		return false;
	c->image_turn = (struct errand){ .go = image_turn, .ctx = h };
	loop_at_rest(h->loop, image_rest, h);
	c->tables = tables_open(h, tables_changed, h);
	clerk_guard_open(h);
	settings_new(h);
	return directory_secret(c->directory, "scram", c->secret) == DIRECTORY_OK;
}

static void
clerk_work(struct house *h)
{
	int fd = house_resource(h, "control/clerk");

	if (fd >= 0)
		house_commands(h, fd, clerk_command);
}

/* A user's keeper has nothing to do, and we have nothing for it. */
static bool
hear_keeper_done(struct house *h, enum role from, uint32_t index, uint32_t ticket,
                 struct bytes body)
{
	(void)from;
	(void)ticket;
	(void)body;
	house_keeper_let_go(h, index);
	return true;
}

static bool
clerk_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
           struct bytes body, int fd)
{
	/* clang-format off */
	static const struct {
		enum word word;
		bool (*hear)(struct house *, enum role, uint32_t, uint32_t, struct bytes);
	} heard[] = {
		{ WORD_RESOLVE,    hear_resolve    },
		{ WORD_REWRITE,    hear_rewrite    },
		{ WORD_ROUTE,      hear_route      },
		{ WORD_TABLE_SAID, hear_table_said },
		{ WORD_MAILBOX_ASK, hear_mailbox_ask },
		{ WORD_AUTH_START, hear_auth_start },
		{ WORD_AUTH_STEP,  hear_auth_step  },
		{ WORD_AUTH_DROP,  hear_auth_drop  },
		{ WORD_CRED_SAID,  hear_cred_said  },
		{ WORD_FULL,       hear_full       },
		{ WORD_SHARE,      hear_share      },
		{ WORD_SHARES_TOLD, hear_shares_told },
		{ WORD_ROOM_ASK,   hear_room_ask   },
		{ WORD_ROOM_BACK,  hear_room_back  },
		{ WORD_TOTAL_ASK,  hear_total_ask  },
		{ WORD_SENDER_ASK, hear_sender_ask },
		{ WORD_DOMAIN_ASK, hear_domain_ask },
		{ WORD_WHO,        hear_who        },
		{ WORD_LIMIT_ASK,  hear_limit_ask  },
		{ WORD_KEEPER_REST, hear_keeper_done },
		{ WORD_KEEPER_NOT, hear_keeper_absent },
		{ WORD_OWNER_IS,   hear_owner_is   },
	};
	/* clang-format on */

	if (word == WORD_URL)
		return hear_url(h, body, fd);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < COUNT(heard); i++)
		if (heard[i].word == word)
			return heard[i].hear(h, from, index, ticket, body);
	return false;
}

struct telling {
	struct house *house;
	struct link  *link;
	uint32_t      index;
};

static void
gone_tell(void *ctx, const struct gone_row *r)
{
	struct telling *t = ctx;

	if (house_keeper_of(t->house, r->id) == t->index)
		clerk_say_gone(t->link, r);
}

/* A keeper that was away when accounts were deleted hears of it when it comes. */
static void
clerk_peer(struct house *h, enum role role, uint32_t index)
{
	struct telling t = { h, house_link(h, role, index), index };

	if (t.link != NULL && (role == RECEIVER || role == LOGIN)) {
		clerk_guard_tell(clerk_of(h), t.link);
		clerk_mute_tell(clerk_of(h), t.link);
	}
	if (role == PROXYMAP)
		enquiries_met(clerk_of(h)->enquiries);
	if (role != KEEPER)
		return;
	clerk_total_keeper_came(h, index);
	clerk_tell_people(h, index);
	(void)directory_gone_each(clerk_of(h)->directory, gone_tell, &t);
	clerk_keeper_came(h, index);
}

static void
clerk_stop(struct house *h)
{
	clerk_write_down(clerk_of(h));
	clerk_keepers_end(clerk_of(h));
	house_leave(h);
}

static void
clerk_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct clerk *c = clerk_of(h);

	*connections = (uint32_t)map_count(c->exchanges);
	buffer_printf(text, "checking=%u waiting=%u", c->checking, c->waiting);
}

const struct role_card clerk_card = {
	.name = "clerk",
	.start = clerk_start,
	.work = clerk_work,
	.hear = clerk_hear,
	.peer = clerk_peer,
	.lost = clerk_lost,
	.reload = settings_new,
	.tables = tables_new,
	.stop = clerk_stop,
	.status = clerk_status,
};
