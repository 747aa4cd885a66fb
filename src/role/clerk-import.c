/*
 * clerk-import -- accounts and aliases by the file, for `mansio import-users|import-aliases`
 *
 * The command has read the file and hashed the passwords; here all rows are one transaction: everything
 * is kept, or nothing is, or (--skip) what was right.  A dry run is the same, and then nothing is kept: it says what
 * would have happened because it did.
 */
#include "directory/protection.h"
#include "directory/scheme.h"
#include "role/clerk.h"
#include <inttypes.h>
#include <string.h>

enum { TARGETS_MOST = 10000 };

struct importing {
	struct order *order;
	const char   *file;
	struct arena *scratch; /* of one row */
	bool          with_domains;
	uint64_t      accounts, aliases, wrong;
	uint64_t      mute; /* whose hash no SCRAM can be checked with */
	const char   *why;  /* what is wrong with this row, where that can be said; NULL */
};

static void
complain(struct importing *i, uint32_t line, struct bytes address, enum directory_outcome o)
{
	static const char *const words[] = {
		[DIRECTORY_NONE] = "cannot be found",
		[DIRECTORY_EXISTS] = "is there already",
		[DIRECTORY_IN_USE] = "is in use",
		[DIRECTORY_FOREIGN] =
			"is of a domain that is not ours; add it, or say --with-domains",
		[DIRECTORY_LOOP] = "would lead in a circle",
		[DIRECTORY_BAD] = "is no address, or one of its targets is none",
		[DIRECTORY_LATER] = "cannot be kept: the directory fails, the log says how",
	};

	i->wrong++;
	caller_complain(i->order->caller, "%s:%" PRIu32 ": %.*s %s\n", i->file, line,
	                (int)address.len, address.at,
	                i->why != NULL                         ? i->why
	                : o < COUNT(words) && words[o] != NULL ? words[o]
	                                                       : "is wrong");
}

static enum directory_outcome
account_import(struct importing *i, struct unpack *u, struct bytes address)
{
	struct arena       *a = i->scratch;
	struct directory   *d = i->order->clerk->directory;
	struct credential   who = { .hash = arena_copy(a, unpack_bytes(u)) };
	struct scheme_scram kept;
	struct bytes        quota;
	const char         *sha1;
	int64_t             bytes = -1;
	uint64_t            id;

	who.scram_iterations = unpack_u32(u);
	who.scram_salt = arena_copy(a, unpack_bytes(u));
	who.scram_stored = arena_copy(a, unpack_bytes(u));
	who.scram_server = arena_copy(a, unpack_bytes(u));
	sha1 = arena_copy(a, unpack_bytes(u));
	quota = unpack_bytes(u);
	if (!u->broken && quota.len > 0 && !clerk_limit_read(quota, &bytes))
		i->why = arena_printf(
			a, "has a quota of %.*s, which is no size; write 500M, 2G or none",
			(int)(quota.len < 100 ? quota.len : 100), quota.at);
	if (u->broken || i->why != NULL)
		return DIRECTORY_BAD;
	if (!clerk_owner(i->order->house, address, (struct bytes){ NULL, 0 }, a, &who.owner))
		return DIRECTORY_LATER;
	enum directory_outcome o = directory_account_add(d, address, &who, i->with_domains, &id);
	if (o == DIRECTORY_OK && *sha1 != '\0')
		o = directory_scram_sha1_set(d, address, sha1);
	if (o == DIRECTORY_OK && quota.len > 0)
		o = directory_limits_set(d, address, &bytes, NULL, NULL);
	if (o == DIRECTORY_OK)
		i->accounts++;
	i->mute += o == DIRECTORY_OK && *who.scram_stored == '\0' &&
	           !scheme_scram(bytes_of(who.hash), "CRYPT", "SCRAM-SHA-256", a, &kept);
	return o;
}

static enum directory_outcome
alias_import(struct importing *i, struct unpack *u, struct bytes address)
{
	struct directory *d = i->order->clerk->directory;
	uint32_t          n = unpack_u32(u);
	struct bytes     *target;
	ptrdiff_t         at = bytes_find_last(address, '@');

	if (n == 0 || n > TARGETS_MOST)
		return DIRECTORY_BAD;
	target = arena_take_array(i->scratch, n, sizeof *target);
	for (uint32_t t = 0; t < n; t++)
		target[t] = unpack_bytes(u);
	if (u->broken)
		return DIRECTORY_BAD;
	if (i->with_domains && at >= 0)
		(void)directory_domain_add(d, bytes_cut(address, (size_t)at + 1, SIZE_MAX));
	if (at == 0 && n > 1) {
		i->why =
			"is a catch-all, which leads to one address; make an alias of several and name "
			"that";
		return DIRECTORY_BAD;
	}
	enum directory_outcome o =
		at == 0 ? directory_domain_catch_all(d, bytes_cut(address, 1, SIZE_MAX), target[0])
			: directory_alias_put(d, address, target, n, false);
	if (o == DIRECTORY_OK)
		i->aliases++;
	return o;
}

/* False: the rows are not as the command writes them. */
static bool
row_import(struct importing *i, struct unpack *u)
{
	uint8_t                kind = unpack_u8(u);
	uint32_t               line = unpack_u32(u);
	struct bytes           address = unpack_bytes(u);
	enum directory_outcome o;

	arena_clear(i->scratch);
	i->why = NULL;
	o = kind == 0 ? account_import(i, u, address) : alias_import(i, u, address);
	if (u->broken || kind > 1)
		return false;
	if (o != DIRECTORY_OK)
		complain(i, line, address, o);
	return true;
}

/* import FILE [dry] [faulty] [skip] [domains], rows as the input; faulty: others were wrong already, and nothing is kept */
int
run_import(struct order *e)
{
	struct importing i = { .order = e, .file = e->first.at, .scratch = arena_open(NULL) };
	struct unpack    u = unpack_of(e->ask->input);
	bool             dry = false, faulty = false, skip = false, whole = true, keep;

	for (uint32_t n = 3; n < e->ask->argc; n++) {
		dry = dry || strcmp(e->ask->argv[n], "dry") == 0;
		faulty = faulty || strcmp(e->ask->argv[n], "faulty") == 0;
		skip = skip || strcmp(e->ask->argv[n], "skip") == 0;
		i.with_domains = i.with_domains || strcmp(e->ask->argv[n], "domains") == 0;
	}
	if (!directory_changes_begin(e->clerk->directory)) {
		arena_close(&i.scratch);
		return order_finish(e, DIRECTORY_LATER, "file");
	}
	while (whole && u.rest.len > 0)
		whole = row_import(&i, &u);
	keep = whole && !dry && !faulty && (skip || i.wrong == 0);
	whole = directory_changes_end(e->clerk->directory, keep) && whole;
	arena_close(&i.scratch);
	if (!whole) {
		caller_complain(
			e->caller,
			"mansio: nothing was imported: the directory fails, the log says how\n");
		return 1;
	}
	clerk_owners_tell(e->house);
	for (uint32_t k = 0; keep && k < house_peers(e->house, KEEPER); k++)
		clerk_tell_people(e->house, k);
	if (i.mute > 0 && (keep || dry))
		caller_complain(
			e->caller,
			"%s: %" PRIu64
			" of the accounts have hashes that SCRAM cannot be checked with; mansio "
			"account list shows them as scram=no until they have logged in once by PLAIN or "
			"LOGIN: %s\n",
			i.file, i.mute,
			sasl_is_auto(e->house->settings)
				? "till then SCRAM is offered to nobody (sasl_mechanisms = auto)"
				: "programs that choose SCRAM are refused, and sasl_mechanisms = auto "
				  "would not offer it till then");
	caller_say(e->caller, "%s%" PRIu64 " accounts, %" PRIu64 " aliases%s\n",
	           keep  ? "imported: "
	           : dry ? "would be imported: "
	                 : "nothing imported; right were: ",
	           i.accounts, i.aliases, i.wrong > 0 ? "; see what is wrong above" : "");
	return i.wrong > 0 && !(skip && keep) ? 1 : 0;
}
