/*
 * maildir -- what the files of the Maildir++ driver know of one another
 *
 * maildir.c        folders, names, writing
 * maildir-kin.c    what Dovecot and Courier keep beside the letters
 * maildir-fs.c     folders as directories in directories (LAYOUT=fs)
 */
#ifndef STORE_MAILDIR_H
#define STORE_MAILDIR_H

#include "store/foreign.h"
#include <dirent.h>
#include <sys/types.h>

enum maildir_part { MAILDIR_TMP, MAILDIR_NEW, MAILDIR_CUR, MAILDIR_PARTS };
enum { KEYWORD_LETTERS = 26 };
struct maildir {
	int           base, part[MAILDIR_PARTS];
	uid_t         owner;
	struct buffer dir;                       /* ".Sent", NUL-ended       */
	char         *keyword[KEYWORD_LETTERS];  /* of a to z                */
	int64_t       keywords_at[2];            /* when that file was changed */
	void         *reading;                   /* new or cur, some of it at a time */
	enum maildir_part reads;
	struct map   *uids;                      /* NAME -> uid, of a former owner */
	int64_t       odd;                       /* until then nothing is said of what is no file */
};

/* tmp, new and cur; 0 also when they were there. */
int  maildir_make_parts(int dir);
/* A directory read from its beginning, whoever else reads it; NULL with errno. */
DIR *maildir_read_directory(int dir, const char *name);
/* A folder that was moved out of sight goes, file by file. */
void maildir_empty_trash(int root, const char *away);
/* maildir-fs.c: what maildir_fs_driver has of its own; base: the folder's directory, and its path below the root. */
void maildir_fs_path(const struct location *, const char *folder, struct buffer *out);
int  maildir_fs_base(struct place *, const char *folder, struct buffer *dir);
bool maildir_fs_list_stamp(struct place *, struct stamp *);
int  maildir_fs_folders(struct place *, void (*each)(void *ctx, const char *name), void *ctx);
bool maildir_fs_fits(const char *folder);
int  maildir_fs_make(struct place *, const char *folder);
int  maildir_fs_remove(struct place *, const char *folder);
int  maildir_fs_rename(struct place *, const char *from, const char *to);
void maildir_fs_subscriptions(struct place *, void (*each)(void *ctx, const char *name), void *ctx);
uint64_t maildir_bit(struct folder *, struct bytes keyword);
/* dovecot-keywords: letters of keywords; those that have none yet get one while there are any. */
void maildir_keywords_read(struct folder *);
void maildir_keywords_keep(struct folder *);
/* dovecot-uidlist, of version 1 and 3. */
bool maildir_former(struct folder *, uint32_t *uidvalidity, uint32_t *uidnext);
/* A file of subscriptions in a directory: `between` stands between levels; `above` is a level to be left out. */
void kin_subscriptions(int dir, const char *file, char between, struct bytes above,
                       void (*each)(void *ctx, const char *name), void *ctx);
void maildir_subscriptions(struct place *, void (*each)(void *ctx, const char *name), void *ctx);
/* The text of a uid list: every NAME with its uid.  False: of a form we do not know. */
bool uidlist_read(struct bytes text, uint32_t *uidvalidity, uint32_t *uidnext,
                  void (*each)(void *ctx, struct bytes name, uint32_t uid), void *ctx);

#endif
