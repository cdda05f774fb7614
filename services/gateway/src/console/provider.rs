//! Sign-in at an identity provider: the authorization code flow of OpenID Connect with PKCE.
//!
//! ```text
//! begin  -> the provider's page, and a sealed cookie with state, nonce, verifier and the page to return to
//! finish -> code -> tokens -> ID token checked (issuer, audience, signature, times, nonce)
//!        -> the credential of a session
//! ```
//!
//! - The provider's metadata and keys are fetched on demand, kept for ten minutes, and used for up to a day
//!   while the provider does not answer.
//! - Each answer of the provider is limited in bytes and in time, and the number of concurrent requests to it
//!   is limited.
//! - This module proves that the provider has signed somebody in. Each service maps the token to a principal
//!   by itself.

mod attempt;
mod fault;
mod http;
mod token;

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdTokenVerifier, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use vigie_credentials::jwt::Algorithm;
use vigie_credentials::{CredentialsConfig, is_safe_address};
use zeroize::Zeroizing;

use crate::config::OidcConfig;

pub(crate) use attempt::Attempt;
pub(crate) use fault::Fault;
pub(crate) use token::Token;

use self::http::Http;

/// The time for which the provider's metadata is used without a new fetch.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);
/// The time for which the metadata is used if the provider does not answer.
const USED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The least age of metadata before an unknown key causes a new fetch.
const KEYS_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The pause after a failed fetch, so that people who retry do not add load on a provider that is down.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// The longest wait of a person for metadata: for the fetch that is under way, and one more.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(10);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// An identity provider where people sign in.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: IssuerUrl,
    client_id: ClientId,
    secret: Option<ClientSecret>,
    scopes: Vec<Scope>,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    audience: String,
    http: Http,
    known: Mutex<Known>,
}

/// The cached metadata of the provider.
#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Instant, Arc<CoreProviderMetadata>)>,
    failed: Option<Instant>,
}

/// A person who has signed in at the provider.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The credential: the provider's token for this deployment.
    pub(crate) token: Token,
    /// The person's subject at the provider.
    pub(crate) subject: String,
}

impl Provider {
    /// Returns the configured provider, if there is one. The configuration has to be free of faults.
    ///
    /// # Errors
    ///
    /// Returns the fault of a file or a value, or a failure to set up HTTPS.
    pub(crate) fn of(config: &OidcConfig, credentials: &CredentialsConfig) -> Result<Option<Self>, String> {
        let (Some((issuer, client_id)), Some(entry)) = (config.provider(), config.issuer_in(credentials))
        else {
            return Ok(None);
        };
        let secret = config.client_secret()?;
        Ok(Some(Self {
            issuer: IssuerUrl::new(issuer.to_owned()).map_err(|error| format!("issuer: {error}"))?,
            client_id: ClientId::new(client_id.to_owned()),
            secret: secret.map(|secret| ClientSecret::new(secret.to_string())),
            scopes: config.scopes.iter().map(|scope| Scope::new(scope.clone())).collect(),
            algorithms: entry.algorithms.iter().map(|algorithm| signing(*algorithm)).collect(),
            audience: entry.audience.clone(),
            http: Http::new().map_err(|error| format!("issuer: HTTPS cannot be set up: {error}"))?,
            known: Mutex::default(),
        }))
    }

    /// Returns the issuer of the provider's tokens.
    pub(crate) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Returns the name of the provider's host, for display.
    pub(crate) fn host(&self) -> &str {
        self.issuer.url().host_str().unwrap_or_default()
    }

    /// Returns the URL of the provider's sign-in page, and the attempt that the browser keeps until it
    /// returns to `redirect`.
    pub(crate) async fn begin(&self, redirect: &Url, next: &str) -> Result<(Url, Attempt), Fault> {
        let metadata = self.metadata(FRESH_FOR).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client(&metadata, redirect);
        let asked = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge);
        let (url, state, nonce) = asked.url();
        Ok((url, Attempt::new(state.secret(), nonce.secret(), verifier.secret(), next)))
    }

    /// Exchanges the code for tokens, checks them, and returns the person who has signed in.
    pub(crate) async fn finish(
        &self,
        attempt: &Attempt,
        code: &str,
        redirect: &Url,
    ) -> Result<Identity, Fault> {
        let metadata = self.metadata(FRESH_FOR).await?;
        let client = self.client(&metadata, redirect);
        let code = AuthorizationCode::new(code.to_owned());
        let request = client.exchange_code(code).map_err(|_| Fault::unsound("names no token endpoint"))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let answer = request.request_async(&self.http).await.map_err(Fault::of_token)?;
        let nonce = Nonce::new(attempt.nonce.clone());
        match self.identity(&metadata, redirect, &answer, &nonce) {
            Err(fault) if fault.is_of_keys() => {
                // The provider may have a new key.
                let metadata = self.metadata(KEYS_AGAIN_AFTER).await?;
                self.identity(&metadata, redirect, &answer, &nonce)
            }
            found => found,
        }
    }

    fn identity(
        &self,
        metadata: &CoreProviderMetadata,
        redirect: &Url,
        answer: &CoreTokenResponse,
        nonce: &Nonce,
    ) -> Result<Identity, Fault> {
        let client = self.client(metadata, redirect);
        let verifier: CoreIdTokenVerifier<'_> =
            client.id_token_verifier().set_allowed_algs(self.algorithms.iter().cloned());
        let id_token = answer.id_token().ok_or_else(|| Fault::unsound("answers without an ID token"))?;
        let claims = id_token.claims(&verifier, nonce).map_err(Fault::of_claims)?;
        let subject = claims.subject().as_str().to_owned();
        if self.audience == self.client_id.as_str() {
            let token = Token::read(Zeroizing::new(id_token.to_string()), &self.audience)?;
            return Ok(Identity { token, subject });
        }
        let access_token = answer.access_token();
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = id_token.signing_alg().map_err(|_| Fault::unsound("signs in an unknown way"))?;
            let key =
                id_token.signing_key(&verifier).map_err(|_| Fault::unsound("signs by an unknown key"))?;
            let actual = AccessTokenHash::from_token(access_token, algorithm, key);
            if actual.ok().as_ref() != Some(expected) {
                return Err(Fault::unsound("answers with an access token that the ID token does not name"));
            }
        }
        let token = Token::read(Zeroizing::new(access_token.secret().clone()), &self.audience)?;
        if token.subject() != subject {
            return Err(Fault::unsound("answers with tokens of two subjects"));
        }
        Ok(Identity { token, subject })
    }

    fn client(&self, metadata: &CoreProviderMetadata, redirect: &Url) -> Client {
        let client =
            CoreClient::from_provider_metadata(metadata.clone(), self.client_id.clone(), self.secret.clone());
        // A provider that lists no methods supports Basic (OpenID Connect Discovery, section 3).
        let takes = metadata.token_endpoint_auth_methods_supported();
        let takes_basic = takes.is_none_or(|takes| takes.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let auth = if takes_basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        client.set_auth_type(auth).set_redirect_uri(RedirectUrl::from_url(redirect.clone()))
    }

    /// Returns the provider's metadata with its keys. The metadata is no older than `age_max`, unless the
    /// provider does not answer.
    async fn metadata(&self, age_max: Duration) -> Result<Arc<CoreProviderMetadata>, Fault> {
        let known = tokio::time::timeout(DESCRIBED_WITHIN, self.known.lock()).await;
        let mut known = known.map_err(|_| Fault::Unreachable)?;
        let (kept, age) = match &known.metadata {
            Some((at, metadata)) => (Some(Arc::clone(metadata)), at.elapsed()),
            None => (None, Duration::MAX),
        };
        if let Some(kept) = kept.as_ref().filter(|_| age < age_max) {
            return Ok(Arc::clone(kept));
        }
        let kept = kept.filter(|_| age < USED_FOR);
        if known.failed.is_some_and(|at| at.elapsed() < PAUSE_AFTER_FAILURE) {
            return kept.ok_or(Fault::Unreachable);
        }
        match self.described().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known { metadata: Some((Instant::now(), Arc::clone(&metadata))), failed: None };
                Ok(metadata)
            }
            Err(fault) => {
                known.failed = Some(Instant::now());
                kept.ok_or(fault)
            }
        }
    }

    async fn described(&self) -> Result<CoreProviderMetadata, Fault> {
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = found.map_err(Fault::of_discovery)?;
        // The addresses of tokens and keys are checked by each request to them. This address is checked here,
        // since it is sent to browsers.
        if !is_safe_address(metadata.authorization_endpoint().as_str()) {
            return Err(Fault::unsound("sends people to an address that is not https"));
        }
        Ok(metadata)
    }
}

const fn signing(algorithm: Algorithm) -> CoreJwsSigningAlgorithm {
    match algorithm {
        Algorithm::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
        Algorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        Algorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    }
}
