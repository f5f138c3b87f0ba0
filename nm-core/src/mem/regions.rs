//! The regions of one netmap, by number.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use spin::Mutex;

use super::{Info, MapError, Mapping, MemId, Region, RegionError};
use crate::platform::Platform;
use crate::tunables::{Sizes, Tunables};

/// The shared region, and the private ones that have holders.
///
/// ```text
/// create ──► Arc<Region> ──► ports, spare handles, mappings      each keeps the region
///                │ dropped        │ the last one dropped
///                └────────────────┴──► the memory goes back to the platform, the number is free again
/// ```
pub struct Regions {
    platform: Arc<dyn Platform>,
    shared: Arc<Region>,
    /// In ascending order of numbers. Locked before the platform is asked for memory, and before nothing else.
    private: Mutex<Vec<(MemId, Weak<Region>)>>,
}

impl Regions {
    /// Takes the shared region from `platform`, sized by `tunables`.
    #[doc(alias = "netmap_mem_init")]
    pub fn new(platform: &Arc<dyn Platform>, tunables: &Tunables) -> Result<Self, RegionError> {
        let shared = Region::new(platform, *tunables)?;
        Ok(Self { platform: platform.clone(), shared, private: Mutex::default() })
    }

    /// The region that ports share unless they are opened on another.
    pub fn shared(&self) -> &Arc<Region> {
        &self.shared
    }

    /// Makes a private region under the lowest free number. `name` is for people. It lives as long as it has
    /// holders or users.
    #[doc(alias = "netmap_mem_private_new")]
    pub fn create(&self, name: &str, sizes: Sizes) -> Result<Arc<Region>, RegionError> {
        let mut private = self.private.lock();
        private.retain(|(_, region)| region.strong_count() > 0);
        let taken = |number| private.binary_search_by_key(&MemId::new(number), |(id, _)| *id);
        let free =
            (2..=u16::MAX).find_map(|number| taken(number).err().map(|place| (MemId::new(number), place)));
        let (id, place) = free.ok_or(RegionError::TooMany)?;
        let region = Region::private(&self.platform, id, name, sizes)?;
        private.insert(place, (id, Arc::downgrade(&region)));
        Ok(region)
    }

    /// The region with this number.
    #[doc(alias = "netmap_mem_find")]
    pub fn find(&self, id: MemId) -> Option<Arc<Region>> {
        if id == MemId::SHARED {
            return Some(self.shared.clone());
        }
        let private = self.private.lock();
        private.iter().find(|(known, _)| *known == id).and_then(|(_, region)| region.upgrade())
    }

    /// All regions there are, the shared one first.
    pub fn list(&self) -> Vec<Info> {
        let private: Vec<_> = self.private.lock().iter().filter_map(|(_, region)| region.upgrade()).collect();
        // `info` counts the handle in the list; it is not one of the region's own.
        let own = |mut info: Info| {
            info.references -= 1;
            info
        };
        let private = private.iter().map(|region| own(region.info()));
        core::iter::once(self.shared.info()).chain(private).collect()
    }

    /// Maps a region for a program that has bound no port. `mmap_unreg` is the tunable of that name
    /// ([`Knobs::mmap_unreg`](crate::tunables::Knobs::mmap_unreg)): without it, memory is mapped through a bound port only.
    #[doc(alias = "netmap_get_memory")]
    pub fn map_unbound(&self, id: MemId, mmap_unreg: bool) -> Result<Mapping, MapError> {
        if !mmap_unreg {
            return Err(MapError::Unbound);
        }
        self.find(id).and_then(|region| region.map()).ok_or(MapError::Unknown(id))
    }
}

impl core::fmt::Debug for Regions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Regions").field("shared", &self.shared).finish_non_exhaustive()
    }
}
