/* huge.h - huge pages for the slab, made on a thread of their own.
 *
 * A random access to memory in pages of 4 KiB pays for a TLB miss on top of the cache miss, in a virtual
 * machine for one that walks two trees of page tables: a quarter of what a GET of a million random
 * keys costs us. Chunks of the slab (2 MiB, core/slab.h) that are wholly in use become huge pages: their
 * memory is there already, so nothing grows by it.
 *
 *   slab, chunk is full ──pipe──► thread: gets a free huge page ready ──► MADV_COLLAPSE: the kernel
 *                                                                        copies the chunk into it
 *
 * While the kernel copies (half a millisecond) whoever touches the chunk waits, and whoever needs
 * fresh memory; so there is a pause after each. To get hold of a free huge page may take twenty times
 * as long: memory has to be gathered, or the hypervisor has to find some. So the thread touches one of
 * its own first and gives it back: the next to ask gets it.
 *
 * Where the kernel knows no MADV_COLLAPSE (before 6.1), khugepaged is asked, which takes its time. Where
 * huge pages are off (transparent_hugepage/enabled says never) nothing is done. */
#ifndef ASHLAR_SHARDS_HUGE_H
#define ASHLAR_SHARDS_HUGE_H

/* Main thread, signals blocked, before the shards start. */
void huge_start(void);

#endif
