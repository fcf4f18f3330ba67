using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>What the server maps, with what each endpoint asks of its caller.</summary>
public static class Endpoints
{
    public static (string Name, Access? Access)[] All(TestApi api) =>
    [
        .. from endpoint in api.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
           from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["ANY"]
           select ($"{method} /{endpoint.RoutePattern.RawText!.Trim('/')}", endpoint.Metadata.GetMetadata<Access>()),
    ];

    /// <summary>Those that ask for a permission.</summary>
    public static IEnumerable<(string Name, Access Access)> Closed(TestApi api) =>
        All(api).Where(e => e.Access?.Permission is not null).Select(e => (e.Name, e.Access!));
}
