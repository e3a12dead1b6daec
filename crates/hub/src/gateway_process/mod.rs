//! The gateway as a process of its own: started, watched and re-attached to.
