package sightline.test;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.elasticsearch.Build;
import org.elasticsearch.ResourceAlreadyExistsException;
import org.elasticsearch.action.admin.indices.create.AutoCreateAction;
import org.elasticsearch.action.admin.indices.create.CreateIndexRequest;
import org.elasticsearch.action.admin.indices.create.CreateIndexResponse;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.cluster.metadata.MetadataCreateDataStreamService;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.cluster.metadata.ProjectMetadata;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.rest.action.RestActionListener;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * Two REST paths that a full distribution has in modules which Maven Central does not: {@code GET /}, by which clients know the product, and {@code /_data_stream/<name>} to make and show
 * data streams. What is behind them is the server's own.
 */
public final class ElasticsearchExtras extends Plugin implements ActionPlugin {
    private ClusterService cluster;

    @Override
    public Collection<?> createComponents(PluginServices services) {
        cluster = services.clusterService();
        return List.of();
    }

    @Override
    public Collection<RestHandler> getRestHandlers(RestHandlersServices services, Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features) {
        return List.of(new ProductHandler(), new DataStreamHandler());
    }

    private interface Filler {
        void fill(XContentBuilder json) throws IOException;
    }

    private static RestResponse json(XContentBuilder builder, Filler filler) throws IOException {
        builder.startObject();
        filler.fill(builder);
        return new RestResponse(RestStatus.OK, builder.endObject());
    }

    private final class ProductHandler extends BaseRestHandler {
        @Override
        public String getName() {
            return "test_product";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            Build build = Build.current();
            return channel -> channel.sendResponse(json(channel.newBuilder(), json -> {
                json.field("name", cluster.getNodeName()).field("cluster_name", cluster.getClusterName().value());
                json.startObject("version").field("number", build.version()).field("build_flavor", build.flavor()).endObject();
                json.field("tagline", "You Know, for Search");
            }));
        }
    }

    private final class DataStreamHandler extends BaseRestHandler {
        @Override
        public String getName() {
            return "test_data_stream";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/_data_stream/{name}"), new Route(RestRequest.Method.PUT, "/_data_stream/{name}"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            String name = request.param("name");
            return request.method() == RestRequest.Method.PUT ? create(name, client) : show(name);
        }

        private ProjectMetadata project() {
            return cluster.state().metadata().getProject(ProjectId.DEFAULT);
        }

        private RestChannelConsumer create(String name, NodeClient client) {
            if (project().dataStreams().containsKey(name)) throw new ResourceAlreadyExistsException("data_stream [" + name + "] already exists");
            // Throws where no template is for the name.
            MetadataCreateDataStreamService.lookupTemplateForDataStream(name, project());
            return channel -> client.execute(AutoCreateAction.INSTANCE, new CreateIndexRequest(name), new RestActionListener<CreateIndexResponse>(channel) {
                @Override
                protected void processResponse(CreateIndexResponse created) throws IOException {
                    channel.sendResponse(json(channel.newBuilder(), json -> json.field("acknowledged", true)));
                }
            });
        }

        private RestChannelConsumer show(String pattern) {
            List<DataStream> found = new ArrayList<>();
            for (DataStream stream : new HashSet<>(project().dataStreams().values())) if (Regex.simpleMatch(pattern, stream.getName())) found.add(stream);
            found.sort(Comparator.comparing(DataStream::getName));
            return channel -> channel.sendResponse(json(channel.newBuilder(), json -> {
                json.startArray("data_streams");
                for (DataStream stream : found) {
                    json.startObject().field("name", stream.getName()).startArray("indices");
                    for (var index : stream.getIndices()) json.startObject().field("index_name", index.getName()).endObject();
                    json.endArray().endObject();
                }
                json.endArray();
            }));
        }
    }
}
