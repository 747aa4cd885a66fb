/*
 * capability -- what we can do, in the words of the registry
 */
#ifndef ACCESS_IMAP_CAPABILITY_H
#define ACCESS_IMAP_CAPABILITY_H

extern const char imap_capabilities[];         /* after login, by blanks */

#endif
