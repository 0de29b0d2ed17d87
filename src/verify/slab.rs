//! Large pieces of memory, on large pages where the kernel has them (transparent huge pages, madvise(2)): touched for the first time, 2 MiB
//! cost a processor little more than 4 KiB do.
//!
//! Not here: what lies in them (`chunks`).

use bytes::BytesMut;

/// Empty room for `bytes` bytes.
pub fn slab(bytes: usize) -> BytesMut {
    let mut room = BytesMut::with_capacity(bytes);
    on_large_pages(&mut room);
    room
}

#[cfg(target_os = "linux")]
fn on_large_pages(room: &mut BytesMut) {
    const PAGE: usize = 2 << 20;
    let free = room.spare_capacity_mut();
    // Only pages that are the room's own from end to end.
    let skipped = free.as_ptr().align_offset(PAGE);
    let length = free.len().saturating_sub(skipped) / PAGE * PAGE;
    if length > 0 {
        let from = free[skipped..].as_mut_ptr();
        #[allow(
            unsafe_code,
            reason = "the kernel is told of memory that is the room's own, and the advice changes nothing that lies in it"
        )]
        // Where the kernel has none, small ones do.
        let _ = unsafe { rustix::mm::madvise(from.cast(), length, rustix::mm::Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn on_large_pages(_: &mut BytesMut) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_has_the_room_that_was_asked_for_and_holds_what_is_put_into_it() {
        for bytes in [0, 1, 4_096, (2 << 20) + 7, 16 << 20] {
            let mut room = slab(bytes);
            assert!(room.is_empty() && room.capacity() >= bytes);
            room.resize(bytes, 0xa5);
            assert!(room.iter().all(|byte| *byte == 0xa5));
        }
    }
}
