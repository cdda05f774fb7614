//! The service of declared hash types.

use tonic::{Request, Response, Status};
use vigie_consortium::Change;
use vigie_model::{Declaration, Distance};
use vigie_proto::consortium::{vector_class, vector_elements};
use vigie_proto::pb::consortium::v1 as pb;

use crate::error::Error;
use crate::grpc::BankGrpc;
use crate::plan::members::MembersAction;
use crate::plan::vectors::hash_types::NewHashType;

#[tonic::async_trait]
impl pb::hash_type_service_server::HashTypeService for BankGrpc {
    async fn declare_hash_type(
        &self,
        request: Request<pb::DeclareHashTypeRequest>,
    ) -> Result<Response<pb::DeclareHashTypeResponse>, Status> {
        let action = |message: &pb::DeclareHashTypeRequest| {
            Ok(MembersAction::DeclareHashType(NewHashType {
                name: message.name.as_str().into(),
                class: vector_class(message.element, message.metric)?,
                elements: vector_elements(message.elements)?,
                distance_default: Distance(message.distance_default),
                distance_max: Distance(message.distance_max),
            }))
        };
        let (change, sequence) = self.change(request, action).await?;
        let Change::HashTypeDeclared(declaration) = change else { return Err(Error::Broken.into()) };
        let hash_type = Some(declaration.into());
        Ok(Response::new(pb::DeclareHashTypeResponse { hash_type, sequence }))
    }

    async fn list_hash_types(
        &self,
        request: Request<pb::ListHashTypesRequest>,
    ) -> Result<Response<pb::ListHashTypesResponse>, Status> {
        let reading = self.reading(&request)?;
        reading.admitted()?;
        let directory = reading.view.directory();
        let hash_types = directory.hash_types().iter().map(|one| Declaration::clone(one).into()).collect();
        let sequence = directory.sequence().0;
        Ok(Response::new(pb::ListHashTypesResponse { hash_types, sequence }))
    }
}
