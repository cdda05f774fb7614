//! `/v1/openapi.json`: the parts of the OpenAPI document that all operations share. The handlers describe the
//! rest.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    Response, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::problem::ProblemObject;
use crate::v1::request::{TIMEOUT_MS, TIMEOUT_MS_MAX};

/// The name of the security scheme.
const KEY: &str = "key";

/// Returns the document without the handlers' descriptions.
pub(crate) fn begun() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Vigie")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Recognises known content by its fingerprints. Hashes are hexadecimal digits, vectors base64 or lists of numbers, times are milliseconds since 1970, and a bank of \
             another member is called `owner/name`. Fields that are not described here are refused. Failures are answered as \
             application/problem+json (RFC 9457).",
        ))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds to every operation the option `timeout_ms` and the failures, and to the document the credential.
pub(crate) fn completed(mut document: OpenApi) -> OpenApi {
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch];
        for operation in operations.into_iter().flatten() {
            complete(operation);
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(ProblemObject::name().into_owned(), ProblemObject::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(KEY, SecurityScheme::Http(bearer));
    // A credential is needed if the deployment has members, and none otherwise.
    document.security = Some(vec![SecurityRequirement::new(KEY, [""; 0]), SecurityRequirement::default()]);
    document
}

fn complete(operation: &mut Operation) {
    operation.parameters.get_or_insert_default().push(RefOr::T(timeout()));
    operation.responses.responses.insert("default".to_owned(), RefOr::T(failure()));
}

fn timeout() -> Parameter {
    let milliseconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1.0))
        .maximum(Some(TIMEOUT_MS_MAX as f64));
    ParameterBuilder::new()
        .name(TIMEOUT_MS)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(
            "The time that the request may take, in milliseconds, up to the gateway's own limit.",
        ))
        .schema(Some(milliseconds))
        .build()
}

fn failure() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemObject::name()))).build();
    ResponseBuilder::new().description("A failure").content("application/problem+json", content).build()
}
