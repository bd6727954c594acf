//! Handler of the protocol: the list of the tools, and their calls.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use super::arguments::parse;
use super::bought::Bought;
use super::refusal::Refusal;
use super::session::Session;
use super::tools::{self, INSTRUCTIONS};
use super::{buying, output, reading, waiting};

/// Purchases that a refusal looks up at most: as many as one call can name.
const MOST_NAMED: usize = 8;

/// The server of one client.
pub(crate) struct Server {
    session: Arc<Session>,
    tools: Vec<Tool>,
}

impl Server {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        let tools = tools::all();
        Self { session, tools }
    }

    async fn call(
        &self,
        mut call: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, Refusal> {
        let session = self.session.as_ref();
        let arguments = call.arguments.take().unwrap_or_default();
        let result = match call.name.as_ref() {
            "estimate" => output::result(&reading::estimate(session, &parse(arguments)?).await?)?,
            "buy" => return buying::buy(session, arguments, &call, context).await,
            "wait" => {
                let waited = waiting::wait(session, parse(arguments)?, &context.ct);
                output::result(&waited.await?)?
            }
            "result" => reading::result(session, &parse(arguments)?).await?,
            "list" => output::result(&reading::list(session, &parse(arguments)?).await?)?,
            _ => output::result(&reading::cancel(session, &parse(arguments)?).await?)?,
        };
        Ok(result.into())
    }

    /// Whether the purchases that a refused call names are bought, as the journal has them now: a
    /// refusal of a call is no statement about a purchase that was made before.
    async fn bought(&self, tool: &str, named: &[String], refusal: &Refusal) -> Bought {
        let mut all = None;
        for name in named.iter().take(MOST_NAMED) {
            let found = match tool {
                "buy" => self.session.labelled(name).await,
                _ => self.session.find_if_any(name).await,
            };
            let one = match found.as_ref().map(Option::as_ref) {
                Ok(None) => Bought::No,
                // Its submit may leave at this moment.
                Ok(Some(purchase)) if purchase.in_work && Bought::of(purchase) == Bought::No => {
                    Bought::Unknown
                }
                Ok(Some(purchase)) => Bought::of(purchase),
                Err(_) => Bought::Unknown,
            };
            all = match all {
                Some(other) if other != one => Some(Bought::Unknown),
                _ => Some(one),
            };
        }
        match all {
            Some(all) if named.len() <= MOST_NAMED => all,
            Some(_) => Bought::Unknown,
            None if tool == "list" && !refusal.is_of_argument() => Bought::Unknown,
            None => Bought::No,
        }
    }
}

/// The labels and ids that a call names, whether or not the call can be read otherwise.
fn named(call: &CallToolRequestParams) -> Vec<String> {
    let arguments = call.arguments.as_ref();
    let values = ["label", "id", "ids"]
        .into_iter()
        .filter_map(|name| arguments?.get(name))
        .flat_map(|value| match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        });
    values
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("uso", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !self.tools.iter().any(|tool| tool.name == request.name) {
            let message = format!("there is no tool {:?}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        }
        let (tool, named) = (request.name.clone(), named(&request));
        match self.call(request, &context).await {
            Ok(response) => Ok(response),
            Err(refusal) if refusal.is_other_picture() => Ok(refusal.result(Bought::No).into()),
            Err(refusal) => {
                let bought = self.bought(&tool, &named, &refusal).await;
                Ok(refusal.result(bought).into())
            }
        }
    }
}
