//! The wire contract: protocol files, generated code, checked conversions to the model.
