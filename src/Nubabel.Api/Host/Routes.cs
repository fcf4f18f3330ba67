namespace Nubabel.Api.Host;

/// <summary>What a route answers on success, said once for the document, the idempotency record and the reader.</summary>
public static class Routes
{
    public static RouteHandlerBuilder Answers200<T>(this RouteHandlerBuilder route) => route.Produces<T>();
    public static RouteHandlerBuilder Answers201<T>(this RouteHandlerBuilder route) => route.Produces<T>(StatusCodes.Status201Created);
    public static RouteHandlerBuilder Paged<T>(this RouteHandlerBuilder route) => route.Produces<PageOf<T>>();
    public static RouteHandlerBuilder Answers202(this RouteHandlerBuilder route) => route.Produces(StatusCodes.Status202Accepted);
    public static RouteHandlerBuilder Answers204(this RouteHandlerBuilder route) => route.Produces(StatusCodes.Status204NoContent);
}

/// <summary>The shape of a page, for the document: rows go out as they come from the table.</summary>
/// <param name="Next">The cursor of the next page; null on the last.</param>
public sealed record PageOf<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>A whole list, for what is short.</summary>
public sealed record Listed<T>(IReadOnlyList<T> Items);
