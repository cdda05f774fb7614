//! The gateway: HTTP for everybody who does not speak gRPC.
