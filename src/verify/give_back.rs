//! Memory that is free, back to the system. The allocator keeps what a thread has freed for that thread: records are gathered by one, sorted by
//! others and written by a third, and each would keep a budget of its own.
//!
//! Not here: how much may be held (`allowance`).

/// What was freed before is worth a walk through the allocator's lists from so many bytes on.
pub const WORTH_IT: usize = 16 << 20;

/// Gives back what is free in whole pages, of all threads (malloc_trim(3)); nothing where the C library is not glibc.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back() {
    // SAFETY: it takes a number of bytes to keep, touches free memory alone, and may be called by any thread at any time (MT-Safe, as its manual
    // page says).
    #[allow(unsafe_code, reason = "the C library offers it, and no safe crate does")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back what is free in whole pages, of all threads (malloc_trim(3)); nothing where the C library is not glibc.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
