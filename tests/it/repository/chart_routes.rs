//! Access for clients in the rendered chart: Gateway API, Ingress, and the gateway, which serves HTTP.

use std::collections::BTreeSet;

use yaml_rust2::Yaml;

use crate::repository::chart::{
    component, configurations, list, name, of_kind, quantity, read, rendered, roles, text,
};

#[test]
fn a_gateway_and_an_ingress_lead_to_the_port_of_the_frontends_and_may_reach_no_other_role() {
    for (golden, kind, proxies) in
        [("gateway", "GRPCRoute", "gateways"), ("ingress", "Ingress", "ingress-nginx")]
    {
        let objects = rendered(golden);
        let rule = &of_kind(&objects, kind).next().unwrap()["spec"]["rules"][0];
        let backend = match kind {
            "Ingress" => &rule["http"]["paths"][0]["backend"]["service"],
            _ => &rule["backendRefs"][0],
        };
        let service =
            of_kind(&objects, "Service").find(|one| one["metadata"]["name"] == backend["name"]).unwrap();
        assert_eq!(component(service), "frontend");
        let port = &service["spec"]["ports"][0];
        assert!(backend["port"] == port["port"] || backend["port"]["name"] == port["name"], "{backend:?}");
        let admits =
            |policy: &&Yaml| format!("{:?}", policy["spec"]["ingress"]).contains(&format!("{proxies:?}"));
        let admitting: Vec<_> = of_kind(&objects, "NetworkPolicy").filter(admits).map(name).collect();
        assert_eq!(admitting, ["vigie-frontend"], "{golden}");
    }
    let objects = rendered("gateway");
    let method = &of_kind(&objects, "GRPCRoute").next().unwrap()["spec"]["rules"][0]["matches"][0]["method"];
    assert_eq!(text(&method["service"]), vigie_proto::pb::matching::v1::match_service_server::SERVICE_NAME);
}

#[test]
fn a_gateway_is_reached_under_the_names_of_its_service_and_its_ingress() {
    let objects = rendered("http");
    let ingress = &of_kind(&objects, "Ingress").next().unwrap()["spec"]["rules"][0];
    let backend = &ingress["http"]["paths"][0]["backend"]["service"];
    let service =
        of_kind(&objects, "Service").find(|one| one["metadata"]["name"] == backend["name"]).unwrap();
    assert_eq!((component(service), name(service)), ("gateway", "vigie-gateway"));
    assert_eq!(backend["port"]["name"], service["spec"]["ports"][0]["name"]);
    let (_, template) = roles(&objects).into_iter().find(|(_, one)| component(one) == "gateway").unwrap();
    let port = &template["spec"]["containers"][0]["ports"][0];
    assert_eq!(port["name"], service["spec"]["ports"][0]["targetPort"]);
    assert_eq!(port["containerPort"], service["spec"]["ports"][0]["port"]);

    let configurations = configurations(&objects);
    let (_, table) = configurations.iter().find(|(role, _)| *role == "gateway").unwrap();
    let config: vigie_gateway::Config = read(table, "gateway");
    let host = text(&ingress["host"]);
    for expected in ["vigie-gateway", "vigie-gateway.vigie", "vigie-gateway.vigie.svc.cluster.local", host] {
        assert!(config.hosts.iter().any(|one| one == expected), "{expected} in {:?}", config.hosts);
    }
    let listen: std::net::SocketAddr = table["listen"].as_str().unwrap().parse().unwrap();
    assert_eq!(Some(i64::from(listen.port())), port["containerPort"].as_i64());
    assert!(config.open_to_all(listen, false).is_none());
    assert_eq!(table["gateway"]["public_url"].as_str(), Some(&*format!("https://{host}")));
}

/// Returns the address blocks that the gateway of a file may reach, each with its exceptions.
fn fetched_from(golden: &str) -> Vec<(String, Vec<String>)> {
    let objects = rendered(golden);
    let policy = of_kind(&objects, "NetworkPolicy").find(|one| name(one) == "vigie-gateway").unwrap();
    let peers = list(&policy["spec"]["egress"]).iter().flat_map(|rule| list(&rule["to"]));
    let blocks = peers.map(|peer| &peer["ipBlock"]).filter(|block| !block.is_badvalue());
    blocks
        .map(|block| {
            let except = list(&block["except"]).iter().map(|one| text(one).to_owned());
            (text(&block["cidr"]).to_owned(), except.collect())
        })
        .collect()
}

#[test]
fn a_gateway_that_fetches_reaches_public_addresses_and_no_private_one() {
    assert_eq!(fetched_from("production"), []);
    let blocks = fetched_from("http");
    let all: Vec<_> = blocks.iter().map(|(block, _)| block.as_str()).collect();
    assert_eq!(all, ["0.0.0.0/0", "2000::/3"]);
    let left_out: BTreeSet<_> = blocks.iter().flat_map(|(_, except)| except).map(String::as_str).collect();
    for private in
        ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
    {
        assert!(left_out.contains(private), "{private}");
    }
}

#[test]
fn an_exchange_reads_its_credentials_from_secrets_and_its_rounds_fit_into_its_memory() {
    let objects = rendered("members");
    let configurations = configurations(&objects);
    let (_, table) = configurations.iter().find(|(role, _)| *role == "exchange").unwrap();
    let config: vigie_exchange::Config = read(table, "exchange");
    let deployment = of_kind(&objects, "Deployment").find(|one| component(one) == "exchange").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let folder = config.credentials_folder.as_deref().unwrap();
    let mounts = list(&container["volumeMounts"]);
    let mount = mounts.iter().find(|one| text(&one["mountPath"]) == folder.to_str().unwrap()).unwrap();
    assert_eq!(mount["readOnly"].as_bool(), Some(true));
    let volume = list(&pod["volumes"]).iter().find(|one| one["name"] == mount["name"]).unwrap();
    let sources: Vec<_> = list(&volume["projected"]["sources"]).iter().map(|one| &one["secret"]).collect();
    assert_eq!(sources.len(), 2);
    // The credentials of the other member are in a folder of its own, without any others.
    let paths: Vec<_> = list(&sources[1]["items"]).iter().map(|one| text(&one["path"])).collect();
    assert_eq!(paths, ["acme/ncmec", "acme/stop-ncii"]);

    let taken = (128 << 20) + 2 * config.body_bytes_max * config.rounds_at_once_max;
    let limit = quantity(text(&container["resources"]["limits"]["memory"]));
    assert!(u64::try_from(taken).unwrap() <= limit);
}

#[test]
fn bodies_and_fetched_files_fit_into_the_memory_of_their_gateway() {
    for golden in ["production", "members", "http"] {
        let objects = rendered(golden);
        let configurations = configurations(&objects);
        let (_, table) = configurations.iter().find(|(role, _)| *role == "gateway").unwrap();
        let config: vigie_gateway::Config = read(table, "gateway");
        let (_, template) = roles(&objects).into_iter().find(|(_, one)| component(one) == "gateway").unwrap();
        let limit = quantity(text(&template["spec"]["containers"][0]["resources"]["limits"]["memory"]));
        let fetched =
            if config.fetch.enabled { config.fetch.fetches_max * config.fetch.bytes_max } else { 0 };
        let taken = (128 << 20) + 2 * config.bodies_bytes_max + fetched;
        assert!(u64::try_from(taken).unwrap() <= limit, "{golden}");
    }
}
