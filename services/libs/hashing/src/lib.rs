//! Decodes an image within hard limits and computes its fingerprints.
