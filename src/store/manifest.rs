//! Facts for the manifest.
