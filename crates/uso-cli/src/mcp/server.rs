//! Handler of the protocol: the list of the tools, and their calls.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::arguments::parse;
use super::refusal::Refusal;
use super::session::Session;
use super::tools::{self, INSTRUCTIONS};
use super::{buying, output, reading, waiting};

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
        let answer = self.call(request, &context).await;
        Ok(answer.unwrap_or_else(|refusal| refusal.result().into()))
    }
}
