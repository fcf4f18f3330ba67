# syntax=docker/dockerfile:1
# The API and its command line (`nubabel <verb>`) in one image.

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source
# The project and lock files first: the restore is then kept as long as no package changes.
COPY global.json Directory.Build.props Directory.Packages.props ./
COPY src/Nubabel.Domain/Nubabel.Domain.csproj src/Nubabel.Domain/packages.lock.json src/Nubabel.Domain/
COPY src/Nubabel.Store/Nubabel.Store.csproj src/Nubabel.Store/packages.lock.json src/Nubabel.Store/
COPY src/Nubabel.Projections/Nubabel.Projections.csproj src/Nubabel.Projections/packages.lock.json src/Nubabel.Projections/
COPY src/Nubabel.Api/Nubabel.Api.csproj src/Nubabel.Api/packages.lock.json src/Nubabel.Api/
RUN dotnet restore src/Nubabel.Api --locked-mode
COPY .editorconfig ./
COPY src/ src/
RUN dotnet publish src/Nubabel.Api -c Release --no-restore -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
WORKDIR /app
COPY --from=build /app ./
RUN install -d -o "$APP_UID" -m 700 /var/lib/nubabel /var/lib/nubabel-erasures
# Whoever runs the image may make the root file system read-only: nothing but these directories is written to; the second is for the ledger of erasures, a volume.
ENV ASPNETCORE_URLS=http://+:8080 NUBABEL_DATA=/var/lib/nubabel
# The user that the base image has for this; by number, so that a cluster can see that it is not root.
USER $APP_UID
EXPOSE 8080
# The image has no curl; the program asks itself. Alive, not ready: a database that is down is no reason to restart.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["dotnet", "nubabel.dll", "health"]
ENTRYPOINT ["dotnet", "nubabel.dll"]
CMD ["serve"]
